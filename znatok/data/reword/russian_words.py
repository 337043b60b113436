"""The telling words of a Russian row, each in several of its forms."""

from znatok.data.reword.exact import TOGETHER, core, has_number, is_exact
from znatok.data.reword.material import MOST_TELLING_WORDS, Word
from znatok.data.reword.russian_forms import first_reading, forms_of, is_kind

_TELLING = ("NOUN", "ADJF", "ADJS", "VERB", "INFN", "PRTF", "PRTS", "COMP", "GRND")
_EMPTY = frozenset(
    "быть являться называть называться представлять иметь мочь стать делать сделать нужный нужно находиться "
    "использовать использоваться применять применяться служить весь сам самый каждый другой один такой "
    "год раз вид часть образ способ помощь случай время вещь штука деталь".split()
)


def telling_words(question: str, answer: str) -> tuple[Word, ...]:
    """The words that carry the row's fact, those of the question first, none twice; numbers with their units whole."""
    found: dict[str, Word] = {}
    for text, is_asked in ((question, True), (answer, False)):
        for item in TOGETHER.findall(text):
            word = _without_small_word(core(item))
            if (key := _key(word)) and key not in found:
                found[key] = Word(forms_of(word), is_asked)
    return tuple(found.values())[:MOST_TELLING_WORDS]


def _key(word: str) -> str:
    """What a word is known by in all its forms; empty where it tells nothing."""
    if has_number(word) or " " in word or (is_exact(word) and len(word) > 1):
        return word
    reading = first_reading(word)
    if reading is None:
        return word.lower() if len(word) > 2 and any(map(str.isalpha, word)) else ""
    if reading.tag.POS not in _TELLING or "Apro" in reading.tag or reading.normal_form in _EMPTY or len(word) < 3:
        return ""
    normal: str = reading.normal_form
    return normal


def _without_small_word(item: str) -> str:
    """«22 до» is a number, and «до» is no unit."""
    words = item.split(" ")
    return words[0] if len(words) == 2 and is_kind(words[1], "PREP", "CONJ", "PRCL", "NPRO") else item
