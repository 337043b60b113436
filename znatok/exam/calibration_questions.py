"""The questions by which it is learned how sure a model may be: none of them is trained, and none is examined.

Three kinds. Answerable: a row's question in a frame of its own and changed words, or put together anew from words of
the question and words of the answer, which is as far from the row as what people ask. Near: on the table's subject and
in its words, but answered by no row. Far: on anything else, shipped.
"""

import random
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.resources import files

from znatok.data.likeness import plain
from znatok.data.reword import Reworder, language_of
from znatok.data.search import Search
from znatok.exam.sets import TOO_NEAR, sample
from znatok.records import Question, QuestionSet, Row


@dataclass(frozen=True, slots=True)
class Size:
    """How many questions of each kind."""

    answerable: int
    near: int
    far: int


IN_TRAIN = Size(40, 12, 12)


def in_full(rows: int) -> Size:
    """How many a whole exam asks: of a small table fewer, since more wordings of one row say little more."""
    return Size(min(160, 4 * rows), min(48, 2 * rows), 40)


STEM = 5
"""Letters by which two words are taken for forms of one."""

LEAST_LETTERS = 4
"""Of a word that says what a question is about."""

TOLD, EVERYDAY = (1, 2), 4
"""How many words of the answer, and everyday words, are in a question that is put together anew: with these its row is
nearly as hard to find as by what people ask (docs/log.md)."""

TRIES = 20
"""Questions that are made for each near one that is wanted: most of them are answered by some row."""

FRAMES = {
    "ru": (
        "Сын спросил за ужином: {q}",
        "Читаю учебник и застрял на одном месте. {Q}",
        "На занятии об этом говорили, а я прослушал: {q}",
        "{Q} Хватит и одной-двух фраз.",
    ),
    "en": (
        "My son asked at dinner: {q}",
        "I am stuck at one place in my textbook. {Q}",
        "They spoke about it in class and I did not listen: {q}",
        "{Q} A sentence or two will do.",
    ),
}
_WORD = re.compile(r"[^\W\d_]+")


def calibration_sets(rows: Sequence[Row], size: Size, seed: int = 0) -> tuple[QuestionSet, QuestionSet, QuestionSet]:
    """The sets "answerable", "near" and "far"; the same for the same rows and seed. A table may give fewer near."""
    rng = random.Random(seed)
    return (
        QuestionSet("answerable", tuple(_answerable(rows, size.answerable, rng))),
        QuestionSet("near", tuple(Question(0, one, "") for one in _near(rows, size.near, rng))),
        QuestionSet("far", tuple(Question(0, one, "") for one in _far(rows, size.far))),
    )


def _answerable(rows: Sequence[Row], count: int, rng: random.Random) -> Iterator[Question]:
    """Rows spread over the table, as often as it takes; every second question is put together anew."""
    reworder = Reworder(rows, ("noise",))
    frames, everyday = FRAMES[_language(rows)], _WORD.findall(" ".join(_shipped(_language(rows))).lower())
    known, counts = _wordings(rows), _word_counts(rows)
    for place in range(count):
        which = place * len(rows) // count if count < len(rows) else place % len(rows)
        row = rows[which]
        said = _put_together(row, _telling_word(row, counts), everyday, rng)
        if (place + place // len(rows)) % 2 == 0 or plain(said) in known:
            said = _framed(reworder.reword(which, rng), rng.choice(frames))
        yield Question(row.number, said, row.answer)


def _framed(question: str, frame: str) -> str:
    return frame.format(Q=question, q=question[:1].lower() + question[1:])


def _put_together(row: Row, telling: str, everyday: Sequence[str], rng: random.Random) -> str:
    """A word of the question, but not the one that names its subject, a few stems from the answer, and everyday words:
    what the row says, said quite otherwise."""
    asked = [word for word in _WORD.findall(row.question) if word != telling]
    fresh = {word[:STEM].lower() for word in [*asked, telling]}
    told = [word for word in _long_words(row.answer) if word[:STEM].lower() not in fresh]
    words = rng.sample(asked, min(len(asked), 1))
    words += [word[: max(LEAST_LETTERS, len(word) - 2)] for word in rng.sample(told, min(len(told), rng.choice(TOLD)))]
    words += rng.sample(everyday, EVERYDAY)
    rng.shuffle(words)
    return " ".join(words).lower() + "?"


def _wordings(rows: Sequence[Row]) -> frozenset[str]:
    """Every wording that is trained or examined as it stands."""
    return frozenset(plain(wording) for row in rows for wording in (row.question, *row.paraphrases, *row.examined))


def _near(rows: Sequence[Row], count: int, rng: random.Random) -> list[str]:
    """Questions of rows in which the telling word gave way to that of another row, or to a word that there is not;
    every second one in a frame."""
    counts, asked, frames = _word_counts(rows), _wordings(rows), FRAMES[_language(rows)]
    stems = [_stems(f"{row.question} {' '.join(row.paraphrases)} {row.answer}") for row in rows]
    made: dict[str, str] = {}
    for number in range(count * TRIES):
        if len(made) == count:
            break
        one = rng.choice(rows)
        word, instead = _telling_word(one, counts), _telling_word(rng.choice(rows), counts)
        if not word or not instead or word.lower() == instead.lower():
            continue
        if number % 2:  # the first half of one and the second of the other
            instead = word[: (len(word) + 1) // 2] + instead[len(instead) // 2 :]
        question = one.question.replace(word, instead.lower() if word.islower() else instead, 1)
        if plain(question) not in asked and not any(_stems(question) <= of_row for of_row in stems):
            said = _framed(question, rng.choice(frames)) if len(made) % 2 else question
            made.setdefault(plain(question), said)
    return list(made.values())


def _far(rows: Sequence[Row], count: int) -> list[str]:
    """Shipped questions on anything else, in the language of most of the table; without those that a row may answer."""
    search = Search(rows)
    asked = _shipped(_language(rows))
    far = [one for one in asked if not any(found.score >= TOO_NEAR for found in search.best(one, count=1))]
    whole = QuestionSet("far", tuple(Question(0, one, "") for one in far))
    return [far[place] for place in sample(whole, count)]


def _language(rows: Sequence[Row]) -> str:
    return language_of(" ".join(row.question for row in rows))


def _shipped(language: str) -> list[str]:
    file = files("znatok.exam").joinpath("questions", f"calibration_far.{language}.txt")
    return [one for one in file.read_text(encoding="utf-8").splitlines() if one.strip()]


def _word_counts(rows: Sequence[Row]) -> Counter[str]:
    """In how many questions each word stands."""
    return Counter(word for row in rows for word in {word.lower() for word in _WORD.findall(row.question)})


def _telling_word(row: Row, counts: Counter[str]) -> str:
    """The rarest long word of the question, which mostly names its subject; "" where it has none."""
    return min(_long_words(row.question), key=lambda word: (counts[word.lower()], -len(word)), default="")


def _long_words(text: str) -> list[str]:
    return [word for word in _WORD.findall(text) if len(word) >= LEAST_LETTERS]


def _stems(text: str) -> frozenset[str]:
    return frozenset(word[:STEM].lower().replace("ё", "е") for word in _long_words(text))
