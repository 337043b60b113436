"""Russian words and noun phrases in other cases and numbers, through pymorphy3.

The dictionary is loaded when the first Russian word is looked up, and never for a table in another language.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from znatok.data.reword.exact import core, has_number, is_exact

CASES = ("nomn", "gent", "datv", "accs", "ablt", "loct")

# «IGBT-», «p-n-», «H-»: a part of a word before a hyphen that never changes
_FRONT = re.compile(r"^((?:\w-)+|\S*[^а-яё\s-]\S*-)(?=[а-яё]+$)", re.IGNORECASE)
_NAMES = ("Name", "Surn", "Patr", "Geox", "Orgn")
_SPLIT = re.compile(r"^([«„“\"(]*)(.*?)([»”“\")]*[,;:]?)$")


@lru_cache(maxsize=1)
def _analyzer() -> Any:
    import pymorphy3
    import pymorphy3_dicts_ru

    analyzer = pymorphy3.MorphAnalyzer(path=pymorphy3_dicts_ru.get_path(), lang="ru")
    analyzer.TagClass.typed_grammemes = False  # else comparing them raises for what is no grammeme, and takes longer
    return analyzer


@lru_cache(maxsize=20_000)
def readings(word: str) -> tuple[Any, ...]:
    """What a word may be, the likeliest first; empty for an abbreviation, a formula, a foreign word."""
    inside = core(word)
    inside = inside[len(_front(inside)) :]
    if not inside or (len(inside) > 1 and inside.isupper()) or not re.fullmatch(r"[а-яё-]+", inside, re.IGNORECASE):
        return ()
    return tuple(_analyzer().parse(inside))


def _front(word: str) -> str:
    found = _FRONT.match(word)
    return found[0] if found else ""


def first_reading(word: str) -> Any | None:
    return next(iter(readings(word)), None)


@lru_cache(maxsize=50_000)
def normal_form(word: str) -> str:
    """The dictionary form of a word by its likeliest reading; the word itself where the dictionary has it not."""
    if not _analyzer().word_is_known(core(word)):
        return word
    reading = first_reading(word)
    return word if reading is None else str(reading.normal_form)


def is_kind(word: str, *kinds: str) -> bool:
    """Whether the likeliest reading of `word` is one of these parts of speech."""
    reading = first_reading(word)
    return reading is not None and reading.tag.POS in kinds


def is_infinitive(word: str) -> bool:
    return any(reading.tag.POS == "INFN" for reading in readings(word)[:2])


def finite(word: str) -> Any | None:
    """The reading of a verb in the third person or the past, of a short adjective, of «можно» and «нельзя»."""
    for reading in readings(word)[:2]:
        tag = reading.tag
        if tag.POS in ("ADJS", "PRTS", "PRED"):
            return reading
        if tag.POS == "VERB" and tag.mood == "indc" and (tag.tense == "past" or tag.person == "3per"):
            return reading
    return None


def put(reading: Any, grammemes: set[str], like: str) -> str | None:
    """The word of `reading` in another form, written as `like` is: its front, its capital, its marks."""
    form = reading.inflect(grammemes)
    return None if form is None else _written(form.word, like)


def _written(form: str, like: str) -> str:
    before, inside, after = _marks(like)
    front = _front(inside)
    old = inside[len(front) :]
    if old[:1].isupper():
        form = form.upper() if old.isupper() and len(old) > 1 else form[:1].upper() + form[1:]
    if "ё" not in old.lower() and "е" in old.lower():
        form = form.replace("ё", "е")
    return f"{before}{front}{form}{after}"


def _marks(word: str) -> tuple[str, str, str]:
    found = _SPLIT.match(word)
    return (found[1], found[2], found[3]) if found else ("", word, "")


@dataclass(frozen=True, slots=True)
class Phrase:
    """A noun phrase. `moving`: places of the words that change with the case, each with its reading in `case`.

    `gender` and `number` are those of its chief word; both None where that is an abbreviation or a foreign word.
    """

    words: tuple[str, ...]
    moving: tuple[tuple[int, Any], ...]
    case: str
    gender: str | None
    number: str | None
    is_alive: bool

    def form(self, case: str) -> str | None:
        """The phrase in another case."""
        words = list(self.words)
        for place, reading in self.moving:
            changed = put(reading, self._wanted(reading, case), words[place])
            if changed is None:
                return None
            words[place] = changed
        return " ".join(words)

    def _wanted(self, reading: Any, case: str) -> set[str]:
        tag = reading.tag
        wanted = {case} | ({tag.number} if tag.number else set())
        if tag.POS in ("ADJF", "PRTF"):
            if tag.number == "sing" and tag.gender:
                wanted.add(tag.gender)
            if case == "accs" and (tag.number == "plur" or tag.gender == "masc"):
                wanted.add("anim" if self.is_alive else "inan")
        return wanted

    def agreeing(self, forms: Sequence[str]) -> str | None:
        """Of four forms, masculine, feminine, neuter and plural, the one that goes with the phrase."""
        if self.number == "plur":
            return forms[3]
        places = {"masc": 0, "femn": 1, "neut": 2}
        return forms[places[self.gender]] if self.number == "sing" and self.gender in places else None


@lru_cache(maxsize=2_000)
def phrase(text: str, case: str = "nomn", gender: str | None = None) -> Phrase | None:
    """`text` read as a noun phrase that stands in `case`; None where it is none, or too unclear to be put in another.

    Before the chief word stand words that agree with it; behind it what agrees changes with it, and the rest stays:
    «закона Ома», «кипячёной воды для чая», «Ивана Грозного».

    gender: of the noun that is left out in «от переменного».
    """
    words = text.split()
    front: list[tuple[int, tuple[Any, ...]]] = []
    for place, word in enumerate(words):
        fitting = _fitting(word, case, ("ADJF", "PRTF"))
        nouns = _fitting(word, case, ("NOUN",))
        following = words[place + 1] if place + 1 < len(words) else ""
        if fitting and (not nouns or _fitting(following, case, ("NOUN", "ADJF", "PRTF"))):
            front.append((place, fitting))
        elif nouns:
            return _around(words, place, nouns, front, case)
        elif _is_foreign(word):
            if not _fitting(following, case, ("NOUN", "ADJF", "PRTF")) and not _is_foreign(following):
                return Phrase(tuple(words), (), case, None, None, False) if not front else None
        elif front and len(front) == place:  # «постоянная времени»
            return _of_adjectives(words, front, case, gender)
        elif not is_kind(word, "ADVB"):
            return None
    return _of_adjectives(words, front, case, gender) if len(front) == len(words) else None


def _around(
    words: list[str], head: int, nouns: tuple[Any, ...], front: list[tuple[int, tuple[Any, ...]]], case: str
) -> Phrase | None:
    """The phrase whose chief word stands at `head`."""
    is_alive = all("anim" in noun.tag for noun in nouns)  # «носитель», «проводник» may be either
    for noun in nouns:
        agreed = [(place, _agreeing(fitting, noun)) for place, fitting in front]
        if any(reading is None for _, reading in agreed):
            continue
        moving = [*agreed, (head, noun)]
        place = head + 1
        while place < len(words) and not words[place - 1].endswith((",", ";", ":")):
            behind = _behind(words[place], words[head], noun, case)
            if behind is None:
                break
            moving.append((place, behind))
            place += 1
        if place < len(words) and words[place] == "и":
            other = phrase(" ".join(words[place + 1 :]), case)
            if other is None:
                return None
            moving += [(place + 1 + at, reading) for at, reading in other.moving]
            return Phrase(tuple(words), tuple(moving), case, None, "plur", is_alive)
        return Phrase(tuple(words), tuple(moving), case, noun.tag.gender, noun.tag.number, is_alive)
    return None


def _behind(word: str, head: str, noun: Any, case: str) -> Any | None:
    """The reading of a word behind the chief one that changes with it: an adjective, or a further name of a person."""
    if is_exact(core(word)):
        return None
    if reading := _agreeing(_fitting(word, case, ("ADJF", "PRTF")), noun):
        return reading
    is_name = any(kind in noun.tag for kind in ("Name", "Surn", "Patr"))
    if is_name and head[:1].isupper() and word[:1].isupper():
        found = _fitting(word, case, ("NOUN",))
        return next((reading for reading in found if reading.tag.gender == noun.tag.gender), None)
    return None


def _of_adjectives(
    words: list[str], front: list[tuple[int, tuple[Any, ...]]], case: str, gender: str | None
) -> Phrase | None:
    """A phrase whose noun is left out: «от переменного»; what stands behind stays."""
    if not front:
        return None
    fitting = front[0][1]
    chief = next((reading for reading in fitting if gender and reading.tag.gender == gender), fitting[0])
    agreed = [(place, _agreeing(fitting, chief)) for place, fitting in front]
    if any(reading is None for _, reading in agreed):
        return None
    return Phrase(tuple(words), tuple(agreed), case, chief.tag.gender, chief.tag.number, False)


def _fitting(word: str, case: str, kinds: tuple[str, ...]) -> tuple[Any, ...]:
    """The readings of `word` in `case`, none where it is most likely a preposition, a conjunction or a verb form."""
    found = readings(word)
    if not found or found[0].tag.POS in ("PREP", "CONJ", "PRCL", "INFN", "NPRO", "GRND"):
        return ()
    cases = {case, {"loct": "loc2", "gent": "gen2", "accs": "acc2"}.get(case, case)}
    return tuple(
        reading for reading in found if reading.tag.POS in kinds and reading.tag.case in cases and _is_likely(reading)
    )


def _is_likely(reading: Any) -> bool:
    return not any(kind in reading.tag for kind in ("Arch", "Erro", "Dist", "Init"))


def _agreeing(fitting: Sequence[Any], noun: Any) -> Any | None:
    for reading in fitting:
        tag = reading.tag
        if tag.number == noun.tag.number and (tag.number == "plur" or tag.gender in (noun.tag.gender, None)):
            return reading
    return None


def _is_foreign(word: str) -> bool:
    """An abbreviation, a formula, a number or a word in other letters: it never changes."""
    inside = core(word)
    return bool(inside) and not readings(word) and any(letter.isalnum() for letter in inside)


def lowered_start(text: str) -> str:
    """The first letter small, unless the first word is an abbreviation or a name, or begins one: Великий Новгород."""
    first, *others = text.split(" ", 2)
    reading = first_reading(first)
    if is_exact(core(first)) or has_number(first) or reading is None or any(kind in reading.tag for kind in _NAMES):
        return text
    if reading.tag.POS == "ADJF" and others and others[0][:1].isupper() and not is_exact(core(others[0])):
        return text
    return text[:1].lower() + text[1:]


def forms_of(word: str) -> tuple[str, ...]:
    """`word` as it is, then a few other forms of it, spread over all that it has."""
    reading = first_reading(word)
    inside = core(word)
    if reading is None or is_exact(inside) or reading.tag.POS not in ("NOUN", "ADJF", "VERB", "INFN", "PRTF", "ADJS"):
        return (word,)
    kind = {"PRTF": ("PRTF",), "VERB": ("VERB", "INFN"), "INFN": ("VERB", "INFN")}.get(
        reading.tag.POS, (reading.tag.POS, "ADJF") if reading.tag.POS == "ADJS" else (reading.tag.POS,)
    )
    lexeme = [form for form in reading.lexeme if form.tag.POS in kind and _is_usual(form)]
    words = list(dict.fromkeys([inside, reading.normal_form, *(_written(form.word, inside) for form in lexeme)]))
    others = words[1:]
    step = max(1, len(others) // 6)
    return (word, *others[::step][:6])


def _is_usual(form: Any) -> bool:
    tag = form.tag
    return (
        tag.mood != "impr"
        and tag.person in (None, "3per")
        and not any(kind in tag for kind in ("Arch", "Erro", "Dist", "V-oy", "V-ey", "V-be", "V-bi"))
    )
