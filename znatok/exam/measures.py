"""What one answer is worth: the measures of the exam, on plain texts. No model here."""

import re
import unicodedata
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from znatok.exam.fidelity import faithful, in_digits, said_once

CHRF_TO_PASS = 80.0
LENGTH_RATIO_TO_PASS = (0.7, 1.3)

_WORD = re.compile(r"[^\W\d_]+")
_DECIMAL_COMMA = re.compile(r"(?<=\d),(?=\d)")
_CYRILLIC = re.compile(r"[а-яё]", re.IGNORECASE)
_ONE_KIND = str.maketrans(
    dict.fromkeys("«»“”„‟‘’'`", '"') | dict.fromkeys("‐‑‒–—―−", "-") | {"ё": "е", "Ё": "Е", "…": "..."}
)
_LATIN_LIKE_CYRILLIC = str.maketrans("ABCEHKMOPTX", "АВСЕНКМОРТХ")
_LATIN_LOOKALIKES = re.compile(r"(?<![^\W\d_])[ABCEHKMOPTX]+(?![^\W\d_])")
_LEADING_ARTICLE = re.compile(r"(?:the|an|a) (?=\w\w)")
_YEAR_ALONE = re.compile(r"(?:в |in )?([12]\d{3})(?: год[ау]?| г)?")
_NUMBER = re.compile(
    r"(?:(?<![\w)\]}])[-−–])?"  # a minus; between two numbers it is a range
    r"(?:\d{1,3}(?:[ \u00a0\u2009\u202f]\d{3})+(?!\d)|\d+)(?:[.,]\d+)*"
    r"|[⁺⁻]?[⁰¹²³⁴⁵⁶⁷⁸⁹]+"
    r"|[₀₁₂₃₄₅₆₇₈₉]+|[¼-¾⅐-⅞]"
)
_MIN_ECHO_WORDS = 3
_COMPARED = 3  # of the nearest answers, letter by letter
_MIN_BEGINNING = 20  # letters; fewer may begin any answer
_SAID = 0.65


def normalised(text: str) -> str:
    """`text` without what does not change its meaning: spaces, capitals, ё, quotes, dashes, first article, final stop.

    Capitals inside a word stay: мОм and МОм, pF and PF are different things. A year alone is its number.
    """
    plain = _written_plainly(text).rstrip(".!? ")
    if year := _YEAR_ALONE.fullmatch(plain):
        return year[1]
    return plain[found.end() :] if (found := _LEADING_ARTICLE.match(plain)) else plain


def _written_plainly(text: str) -> str:
    text = unicodedata.normalize("NFC", text).translate(_ONE_KIND)
    if _CYRILLIC.search(text):  # 2 A and 2 А look the same
        text = _LATIN_LOOKALIKES.sub(lambda found: found[0].translate(_LATIN_LIKE_CYRILLIC), text)
    text = _DECIMAL_COMMA.sub(".", text)
    return " ".join(_WORD.sub(lambda found: _folded(found.group()), text).split())


def _folded(word: str) -> str:
    return word.casefold() if word[1:] == word[1:].lower() else word


def numbers(text: str) -> list[str]:
    """The numbers of `text` in its order, written alike: decimal point, no spaces, ASCII minus.

    Numbers inside names count (КТ315, R2, H₂O), and so do raised ones, by themselves: 10⁻⁶ is 10 and -6.
    """
    return [_written_alike(found) for found in _NUMBER.findall(text)]


def without_numbers(text: str) -> str:
    """`text` with every number made the same, to see whether two texts differ in numbers alone."""
    return _NUMBER.sub("0", text)


def _written_alike(number: str) -> str:
    number = unicodedata.normalize("NFKC", number).replace(",", ".")
    return "".join(number.split()).replace("−", "-").replace("–", "-").replace("+", "")


def chrf(answer: str, reference: str) -> float:
    """chrF++ of `answer`, 0 to 100, as sacrebleu counts it."""
    return float(_chrf_plus_plus().sentence_score(answer, [reference]).score)


@cache
def _chrf_plus_plus() -> Any:
    from sacrebleu.metrics.chrf import CHRF

    return CHRF(word_order=2)


def passed(answer: str, reference: str, stopped: bool) -> bool:
    """Whether `answer` says what `reference` says.

    It is the reference after normalisation; or chrF++ is at least 80, the numbers are the reference's, the length is
    0.7 to 1.3 of the reference's, the model stopped by itself, and the words are faithful.

    The numbers must be the same ones. One that is missing or different is a wrong fact. So is one too many: an answer
    that is this close to the reference letter by letter and has a number more has made it up, or has begun another
    row's answer. chrF++ hardly sees it, and as little a wrong unit, a lost "not", a sibling term in the place of the
    right one, or two that changed places: that is what `faithful` is for, which says what it holds an answer to.
    """
    wanted, given = normalised(reference), normalised(answer)
    if not given or not wanted:
        return answer.strip() == reference.strip() != ""
    if given == wanted:
        return True
    shortest, longest = LENGTH_RATIO_TO_PASS
    answer_in_digits, reference_in_digits = in_digits(said_once(answer)), in_digits(reference)
    return (
        stopped
        and shortest <= len(given) / len(wanted) <= longest
        and sorted(numbers(answer_in_digits)) == sorted(numbers(reference_in_digits))
        and chrf(answer, reference) >= CHRF_TO_PASS
        and faithful(_written_plainly(answer_in_digits), _written_plainly(reference_in_digits))
    )


def echoed(answer: str, prompt_marks: Sequence[str], question: str, reference: str = "") -> bool:
    """Whether text of the prompt came out in `answer`: a role mark of the template, or the question at its start.

    A mark that is a plain word (`user`) counts where it stands alone on a line. What the reference has itself is no
    echo. A question of one or two words is often the name of the thing: it counts only with its question mark.
    """
    if any(_holds_mark(answer, mark) and not _holds_mark(reference, mark) for mark in prompt_marks):
        return True
    rest = _rest_after(question, answer)
    if rest is None or _rest_after(question, reference) is not None:
        return False
    return rest.startswith("?") or len(question.split()) >= _MIN_ECHO_WORDS


def _holds_mark(text: str, mark: str) -> bool:
    if mark.isalpha():
        return mark in (line.strip() for line in text.splitlines())
    return mark in text


def _rest_after(question: str, text: str) -> str | None:
    """What follows `question` where `text` begins with it, quotation marks and dashes before it aside; else None."""
    asked = normalised(question).lstrip('"-: ')
    given = _written_plainly(text).lstrip('"-: ')
    rest = given.removeprefix(asked)
    return None if len(rest) == len(given) or rest[:1].isalnum() else rest


@dataclass(frozen=True, slots=True)
class Other:
    """An answer of the table: its place among those given to `References`, and how like it is, 0 to 1."""

    place: int
    likeness: float


class References:
    """The answers of a table, to find which of them an answer is nearest to.

    Likeness is Dice's coefficient over sets of three letters. An inverted index finds the nearest of 10,000 in about a
    millisecond.
    """

    def __init__(self, answers: Sequence[str]) -> None:
        self._texts: dict[str, int] = {}
        self._places: list[int] = []  # of the first answer with each text
        for place, text in enumerate(map(normalised, answers)):
            if text not in self._texts:
                self._texts[text] = len(self._places)
                self._places.append(place)
        having: defaultdict[str, list[int]] = defaultdict(list)
        sizes = []
        for text, number in self._texts.items():
            threes = _threes(text)
            sizes.append(len(threes))
            for three in threes:
                having[three].append(number)
        self._plain = list(self._texts)
        self._sizes = np.asarray(sizes, dtype=np.int64)
        self._having = {three: np.asarray(numbers, dtype=np.int64) for three, numbers in having.items()}

    def confused(self, answer: str, row_answer: str) -> bool:
        """Whether `answer` is nearer to another row's answer than to its own row's. A tie goes to its own."""
        return self.other(answer, row_answer) is not None

    def other(self, answer: str, row_answer: str) -> Other | None:
        """The other row's answer that `answer` is nearer to than to its own row's; None where there is none."""
        threes, own = _threes(normalised(answer)), _threes(normalised(row_answer))
        if (shared := self._shared(threes)) is None:
            return None
        likeness = 2 * shared / (self._sizes + len(threes))
        if (number := self._texts.get(normalised(row_answer))) is not None:
            likeness[number] = 0
        nearest = int(likeness.argmax())
        if likeness[nearest] <= 2 * len(threes & own) / (len(threes) + len(own)):
            return None
        return Other(self._places[nearest], float(likeness[nearest]))

    def said(self, answer: str, is_cut: bool) -> int | None:
        """The place of the table's answer that `answer` gives, nearly to the letter or about another thing; else None.

        Nearly: chrF++ is at least 80. About another thing ("RL: its time constant is R · L" for RC): two thirds of its
        runs of three letters are that answer's. Of 60 answers of one trained model to unknown questions 19 have as
        many and are a row's, as a person reads them; of its base's, which never saw the rows, none has more than 0.60.
        A cut answer is held against beginnings, since there is no more of it.
        """
        given = normalised(answer.rstrip("\ufffd"))  # a cut may go through a letter
        threes = _threes(given)
        if (shared := self._shared(threes)) is None:
            return None
        likeness = shared / len(threes) if is_cut else 2 * shared / (self._sizes + len(threes))
        order: list[int] = np.argsort(-likeness, kind="stable")[:_COMPARED].tolist()
        for number in order:
            wanted = self._plain[number]
            both = min(len(given), len(wanted)) if is_cut else max(len(given), len(wanted))
            if is_cut and both < _MIN_BEGINNING:
                continue
            if likeness[number] >= _SAID or chrf(given[:both], wanted[:both]) >= CHRF_TO_PASS:
                return self._places[number]
        return None

    def _shared(self, threes: set[str]) -> NDArray[np.int64] | None:
        """How many of `threes` each text has; None where no text has any."""
        found = [self._having[three] for three in threes if three in self._having]
        return np.bincount(np.concatenate(found), minlength=len(self._sizes)) if found else None


def overlap(one: str, other: str) -> float:
    """The share of the shorter text's runs of three letters that the other has, too."""
    these, those = _threes(one), _threes(other)
    return len(these & those) / min(len(these), len(those)) if these and those else 0.0


def _threes(text: str) -> set[str]:
    """All runs of three letters, word borders included. None in an empty text."""
    padded = f" {text} "
    return {padded[start : start + 3] for start in range(len(padded) - 2)} if text else set()
