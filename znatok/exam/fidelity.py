"""Whether an answer that is near to its reference letter by letter also says what the reference says.

chrF++ counts letters: one wrong word among twenty costs three points of a hundred. Here the answer is read as a strict
examiner reads it who does not know the subject. He cannot tell a synonym from a wrong word, so he takes no word of
content that is not the reference's; a synonym is thereby sometimes refused, a wrong word hardly ever let through.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from difflib import SequenceMatcher
from itertools import groupby, pairwise

from znatok.exam.words import LIGHT, NEGATIONS, akin, is_slip

_NEGATIVE_PREFIX = re.compile(r"(?:не|без|бес|анти|un|in|im|ir|il|non|dis|anti)-?(?=.{4})")
_LIGHT_AND_UNITS = frozenset("а в с к a".split())  # ампер, вольт, секунда, кельвин, ampere

_IN_DIGITS = {
    word: digits
    for digits, *words in map(
        str.split,
        """
        2 два две двух двум двумя two
        3 три трех трем тремя three
        4 четыре четырех четырем четырьмя four
        5 пять пяти пятью five
        6 шесть шести шестью six
        7 семь семи seven
        8 восемь восьми восемью восьмью eight
        9 девять девяти девятью nine
        10 десять десяти десятью ten
        11 одиннадцать одиннадцати eleven
        12 двенадцать двенадцати twelve
        20 двадцать двадцати twenty
        100 сто ста hundred
        """.strip().splitlines(),
    )
    for word in words
}
_LETTERS = re.compile(r"[^\W\d_]+")
_CYRILLIC = re.compile(r"[а-яё]", re.IGNORECASE)
_THOUSANDS = re.compile(r"(?<![\d.,])[1-9]\d{0,2}(?:,\d{3})+(?![\d,])")
_THOUSAND = re.compile(r"(?<=\d) (?:тыс\.|тысяч[аиу]?|thousand)(?!\w)", re.IGNORECASE)

_READ_AS = (
    *(('can"t', "can not"), ("cannot", "can not"), ('won"t', "will not"), ('n"t ', " not ")),
    *(("чаще всего", "обычно"), ("most often", "usually")),
)
_OPERATOR = re.compile(r" ?([=+/^≈<>≤≥÷]) ?")
_TIMES = re.compile(r" ?[·∙×*] ?")
_IN_BRACKETS = re.compile(r"\([^()]*\)")
_EQUALS_NUMBER = re.compile(r"(?<=[=≈])(?=\d+(?:\.\d+)*(?:[\s,;:!?]|\.?$|\.\s))")
_GROUPS = re.compile(r"(?<![\d.])\d{1,3}(?: \d{3})+(?!\d)")
_NUMBER_AT_WORD = re.compile(r"(?<!\S)(\d+(?:\.\d+)?)(?=[^\W\d_])")
_TOKEN = re.compile(
    r"[^\s=]*[=+/^≈<>≤≥÷][^\s,;:!?\"]*[^\s.,;:!?\"]"  # a formula
    r"|\d+(?:\.\d+)*(?!\w)"
    r"|[°%]?\w+(?:-\w+)*|[°%]"
    r"|[.,;:!?]"
)
_BETWEEN_SENTENCES = re.compile(r"(?<=[.!?])\s+")
_SENTENCE_ENDS = frozenset(".!?")
_MARKS = frozenset(".,;:!?")


def in_digits(text: str) -> str:
    """`text` with its small numbers in digits, and thousands without a comma where commas part thousands."""
    text = _LETTERS.sub(lambda found: _IN_DIGITS.get(found[0].casefold().replace("ё", "е"), found[0]), text)
    if not _CYRILLIC.search(text):
        text = _THOUSANDS.sub(lambda found: found[0].replace(",", ""), text)
    return _THOUSAND.sub(" 000", text)


def said_once(text: str) -> str:
    """`text` without a sentence that only repeats the one before it: that brings no number and no word of its own."""
    return " ".join(sentence for sentence, _ in groupby(_BETWEEN_SENTENCES.split(text.strip())))


def faithful(answer: str, reference: str) -> bool:
    """Whether a near `answer` says what `reference` says. Both are written plainly, their numbers in digits.

    1. Every number counts the same thing: mA is not A or MA, and 20 minutes are not 20 hours.
    2. The answer has no word of content, and no formula, that the reference has not, and says none of the reference's
       once more in the place of another. Another ending or a slip of spelling does not make another word.
    3. Of every sentence of the reference at least half of the words of content are there, the last one among them:
       what is cut off is the end.
    4. A negation (не, without, un-) is there where the reference has it, and nowhere else.
    5. Words may be moved to one side, or listed in another order, but two may not change places around a third:
       "veins carry blood away, arteries carry it back".
    """
    said, wanted = _tokens(answer), _tokens(reference)
    return (
        _same_quantities(said, wanted)
        and _has_no_word_of_its_own(said, wanted)
        and _has_every_sentence(said, wanted)
        and _same_negations(said, wanted)
        and _same_order(said, wanted)
    )


def _tokens(text: str) -> list[str]:
    """Words, numbers, formulas and marks of `text`; a formula is one token however it is spaced."""
    for written, read in _READ_AS:
        text = text.replace(written, read)
    text = _IN_BRACKETS.sub(lambda found: found[0].replace(" - ", "-"), text)
    text = _GROUPS.sub(lambda found: found[0].replace(" ", ""), text)
    text = _EQUALS_NUMBER.sub(" ", _OPERATOR.sub(r"\1", _TIMES.sub("", text)))
    return _TOKEN.findall(_NUMBER_AT_WORD.sub(r"\1 ", text))


def _is_number(token: str) -> bool:
    return token[0].isdecimal() and not _LETTERS.search(token)


def _facts(tokens: Sequence[str], numbers: bool = False) -> list[str]:
    """Words of content and formulas in their order, without the words that say what a number counts."""
    counted = {place + 1 for place, token in enumerate(tokens) if _is_number(token)}
    return [
        token
        for place, token in enumerate(tokens)
        if (numbers and _is_number(token))
        or not (place in counted or _is_number(token) or token in LIGHT or token in NEGATIONS or token in _MARKS)
    ]


def _same_quantities(said: Sequence[str], wanted: Sequence[str]) -> bool:
    """The same numbers of the same things in the same order; in any order if each has a name for what it counts."""
    given, asked = _quantities(said), _quantities(wanted)
    if len(given) != len(asked):
        return False
    if all(one[1] for one in asked):
        given, asked = sorted(given), sorted(asked)
    return all(
        number == other and _same_unit(unit, wished)
        for (number, unit), (other, wished) in zip(given, asked, strict=True)
    )


def _quantities(tokens: Sequence[str]) -> list[tuple[str, str]]:
    followed = zip(tokens, [*tokens[1:], ""], strict=True)
    return [(token, _unit(after)) for token, after in followed if _is_number(token)]


def _unit(token: str) -> str:
    light = token in LIGHT and token not in _LIGHT_AND_UNITS
    return "" if light or not token or token in _MARKS or _is_number(token) else token


def _same_unit(one: str, other: str) -> bool:
    short, long = sorted((one, other), key=len)
    if short and len(short) <= 3 < len(long):
        letters = iter(long)
        return short[0] == long[0] and all(letter in letters for letter in short)
    return akin(one, other) or one.replace("К", "к", 1) == other.replace("К", "к", 1)


def _has_no_word_of_its_own(said: Sequence[str], wanted: Sequence[str]) -> bool:
    known, given = _facts(wanted), _facts(said)
    if not all(_has(known, word) or any(is_slip(word, light) for light in LIGHT) for word in given):
        return False
    asked, found = (Counter(_first_akin(known, word) for word in words) for words in (known, given))
    del found[""]
    return not (asked - found and found - asked)


def _has_every_sentence(said: Sequence[str], wanted: Sequence[str]) -> bool:
    given, asked = _facts(said), _facts(wanted)
    for mark, sentence in groupby(wanted, key=_SENTENCE_ENDS.__contains__):
        words = [] if mark else _facts(list(sentence))
        if words and _count(given, words[-1]) < _count(asked, words[-1]):
            return False
        if 2 * sum(_has(given, word) for word in words) < len(words):
            return False
    return True


def _same_negations(said: Sequence[str], wanted: Sequence[str]) -> bool:
    asked, given = ([token for token in tokens if token not in _MARKS] for tokens in (wanted, said))
    for kind, start, end, other_start, other_end in SequenceMatcher(None, asked, given, autojunk=False).get_opcodes():
        if kind != "equal" and not NEGATIONS.isdisjoint(asked[start:end] + given[other_start:other_end]):
            return False
    return _same_prefixed(_facts(said), _facts(wanted))


def _same_prefixed(given: Sequence[str], asked: Sequence[str]) -> bool:
    """Whether of every pair like soluble and insoluble each is in both or in neither."""
    words = (*given, *asked)
    rests = ((word, _NEGATIVE_PREFIX.sub("", word, count=1)) for word in words if _NEGATIVE_PREFIX.match(word))
    pairs = [pair for pair in rests if _has(words, pair[1])]
    return all(_has(given, word) == _has(asked, word) for pair in pairs for word in pair)


def _same_order(said: Sequence[str], wanted: Sequence[str]) -> bool:
    asked = _facts(wanted, numbers=True)
    places, places_said = _places(asked, asked), _places(_facts(said, numbers=True), asked)
    pairs = [
        pair
        for word, known in places.items()
        if len(known) == len(places_said[word])
        for pair in zip(places_said[word], known, strict=True)
    ]
    order = [known for _, known in sorted(pairs)]
    rank = {known: number for number, known in enumerate(sorted(order))}
    return _moved_to_one_side([rank[known] for known in order])


def _places(words: Sequence[str], known: Sequence[str]) -> defaultdict[str, list[int]]:
    """Where each word of `known` stands in `words`."""
    places: defaultdict[str, list[int]] = defaultdict(list)
    for place, word in enumerate(words):
        places[_first_akin(known, word)].append(place)
    return places


def _moved_to_one_side(order: Sequence[int]) -> bool:
    """Whether `order`, a permutation, falls into stretches in each of which one run of words went before another."""
    start, highest = 0, -1
    for end, place in enumerate(order, start=1):
        highest = max(highest, place)
        if highest == end - 1:
            if sum(after != before + 1 for before, after in pairwise(order[start:end])) > 1:
                return False
            start = end
    return True


def _has(words: Iterable[str], word: str) -> bool:
    return any(akin(word, other) for other in words)


def _count(words: Iterable[str], word: str) -> int:
    return sum(akin(word, other) for other in words)


def _first_akin(words: Sequence[str], word: str) -> str:
    return next((other for other in words if akin(word, other)), "")
