"""The questions by which it is learned how sure a model may be: none of them is trained, and none is examined.

Three kinds. Answerable: a row's question in a frame of its own and changed words, or put together anew from words of
the question and words of the answer, which is as far from the row as what people ask. Near: on the table's subject and
in its words, but answered by no row. Far: on anything else, shipped.
"""

import random
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.resources import files

from znatok.data.likeness import plain
from znatok.data.reword import Reworder, language_of
from znatok.data.telling import LEAST_LETTERS, STEM, WORD, long_words, stems, telling_word, word_counts
from znatok.exam.sets import far_from, sample
from znatok.records import Question, QuestionSet, Row


@dataclass(frozen=True, slots=True)
class Size:
    """How many questions of each kind."""

    answerable: int
    near: int
    far: int

    @property
    def total(self) -> int:
        return self.answerable + self.near + self.far


IN_TRAIN = Size(48, 24, 34)


def in_full(rows: int) -> Size:
    """How many a whole exam asks: of a small table fewer, since more wordings of one row say little more."""
    return Size(min(160, 4 * rows), min(48, 2 * rows), 40)


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
    frames, everyday = FRAMES[_language(rows)], _everyday(_language(rows))
    known, counts = _wordings(rows), word_counts(rows)
    for place in range(count):
        which = place * len(rows) // count if count < len(rows) else place % len(rows)
        row = rows[which]
        said = _put_together(row, telling_word(row, counts), everyday, rng)
        if (place + place // len(rows)) % 2 == 0 or plain(said) in known:
            said = _framed(reworder.reword(which, rng), rng.choice(frames))
        yield Question(row.number, said, row.answer)


def _framed(question: str, frame: str) -> str:
    return frame.format(Q=question, q=question[:1].lower() + question[1:])


def _put_together(row: Row, telling: str, everyday: Sequence[str], rng: random.Random) -> str:
    """A word of the question, but not the one that names its subject, a few stems from the answer, and everyday words:
    what the row says, said quite otherwise."""
    asked = [word for word in WORD.findall(row.question) if word != telling]
    fresh = {word[:STEM].lower() for word in [*asked, telling]}
    told = [word for word in long_words(row.answer) if word[:STEM].lower() not in fresh]
    words = rng.sample(asked, min(len(asked), 1))
    words += [word[: max(LEAST_LETTERS, len(word) - 2)] for word in rng.sample(told, min(len(told), rng.choice(TOLD)))]
    return _scattered(words, everyday, rng)


def _scattered(words: Sequence[str], everyday: Sequence[str], rng: random.Random) -> str:
    """The words among everyday ones, in any order."""
    both = [*words, *rng.sample(everyday, EVERYDAY)]
    rng.shuffle(both)
    return " ".join(both).lower() + "?"


def _everyday(language: str) -> list[str]:
    return WORD.findall(" ".join(_shipped(language)).lower())


def _wordings(rows: Sequence[Row]) -> frozenset[str]:
    """Every wording that is trained or examined as it stands."""
    return frozenset(plain(wording) for row in rows for wording in (row.question, *row.paraphrases, *row.examined))


def _near(rows: Sequence[Row], count: int, rng: random.Random) -> list[str]:
    """Half as the table asks, but about something else; half put together from words of several rows. No row has all of
    them."""
    counts, asked, language = word_counts(rows), _wordings(rows), _language(rows)
    everyday = _everyday(language)
    of_rows = [stems(f"{row.question} {' '.join(row.paraphrases)} {row.answer}") for row in rows]
    made: dict[str, str] = {}
    for _ in range(count * TRIES):
        if len(made) == count:
            break
        if len(made) % 2:
            words = _of_several(rng.sample(rows, min(len(rows), 3)), rng)
            question, said = " ".join(words), _scattered(words, everyday, rng)
        else:
            question = said = _changed(rng.choice(rows), rows, counts, rng)
        if question and plain(said) not in asked and not any(stems(question) <= of_row for of_row in of_rows):
            made.setdefault(plain(said), said)
    return list(made.values())


def _changed(row: Row, rows: Sequence[Row], counts: Counter[str], rng: random.Random) -> str:
    """The row's question, but each word that no other question has gave way to the telling word of another row, or to
    one that there is not; "" where that changes nothing."""
    question = row.question
    for word in long_words(question):
        instead = telling_word(rng.choice(rows), counts)
        if instead and (counts[word.lower()] == 1 or word == telling_word(row, counts)):
            if rng.random() < 0.5:  # the first half of one and the second of the other
                instead = word[: (len(word) + 1) // 2] + instead[len(instead) // 2 :]
            question = question.replace(word, instead.lower() if word.islower() else instead, 1)
    return "" if question == row.question else question


def _of_several(rows: Sequence[Row], rng: random.Random) -> list[str]:
    """A word of the first row's question, and one of each other's answer."""
    texts = [rows[0].question, *(row.answer for row in rows[1:])]
    return [rng.choice(words) for words in map(long_words, texts) if words]


def _far(rows: Sequence[Row], count: int) -> list[str]:
    """Shipped questions on anything else, in the language of most of the table; without those that a row may answer."""
    far = far_from(rows, _shipped(_language(rows)))
    whole = QuestionSet("far", tuple(Question(0, one, "") for one in far))
    return [far[place] for place in sample(whole, count)]


def _language(rows: Sequence[Row]) -> str:
    return language_of(" ".join(row.question for row in rows))


def _shipped(language: str) -> list[str]:
    file = files("znatok.exam").joinpath("questions", f"calibration_far.{language}.txt")
    return file.read_text(encoding="utf-8").splitlines()
