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
IN_FULL = Size(160, 48, 40)

STEM = 5
"""Letters by which two words are taken for forms of one."""

LEAST_LETTERS = 4
"""Of a word that says what a question is about."""

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
    reworder = Reworder(row.question for row in rows)
    frames = FRAMES[language_of(" ".join(row.question for row in rows))]
    known = _wordings(rows)
    for place in range(count):
        row = rows[place * len(rows) // count] if count < len(rows) else rows[place % len(rows)]
        said = _put_together(row, rng)
        if (place + place // len(rows)) % 2 == 0 or plain(said) in known:
            said = reworder.reword(row.question, rng)
            said = rng.choice(frames).format(Q=said, q=said[:1].lower() + said[1:])
        yield Question(row.number, said, row.answer)


def _wordings(rows: Sequence[Row]) -> frozenset[str]:
    """Every wording that is trained or examined as it stands."""
    return frozenset(plain(wording) for row in rows for wording in (row.question, *row.paraphrases, *row.examined))


def _put_together(row: Row, rng: random.Random) -> str:
    """Half of the question's words and a few of the answer's, in any order: what the row says, said otherwise."""
    asked = row.question.rstrip("?.! ").split()
    fresh = {word.lower() for word in asked}
    told = [word for word in _WORD.findall(row.answer) if len(word) >= LEAST_LETTERS and word.lower() not in fresh]
    words = rng.sample(asked, (len(asked) + 1) // 2) + rng.sample(told, min(len(told), 3))
    rng.shuffle(words)
    return " ".join(words).lower() + "?"


def _near(rows: Sequence[Row], count: int, rng: random.Random) -> list[str]:
    """Questions of rows in which the telling word gave way to that of another row, or to a word that there is not."""
    known = Counter(word.lower() for row in rows for word in set(_WORD.findall(row.question)))
    stems = [_stems(f"{row.question} {' '.join(row.paraphrases)} {row.answer}") for row in rows]
    asked = _wordings(rows)
    made: dict[str, str] = {}
    for number in range(count * TRIES):
        if len(made) == count:
            break
        one, other = rng.choice(rows), rng.choice(rows)
        word, instead = (
            min(_long_words(row.question), key=lambda it: (known[it.lower()], -len(it)), default="")
            for row in (one, other)
        )
        if not word or not instead or word.lower() == instead.lower():
            continue
        if number % 2:  # the first half of one and the second of the other
            instead = word[: (len(word) + 1) // 2] + instead[len(instead) // 2 :]
        question = one.question.replace(word, instead.lower() if word.islower() else instead, 1)
        if plain(question) not in asked and not any(_stems(question) <= of_row for of_row in stems):
            made.setdefault(plain(question), question)
    return list(made.values())


def _far(rows: Sequence[Row], count: int) -> list[str]:
    """Shipped questions on anything else, in the language of most of the table; without those that a row may answer."""
    language = language_of(" ".join(row.question for row in rows))
    shipped = files("znatok.exam").joinpath("questions", f"calibration_far.{language}.txt")
    search = Search(rows)
    asked = [one for one in shipped.read_text(encoding="utf-8").splitlines() if one.strip()]
    far = [one for one in asked if not any(found.score >= TOO_NEAR for found in search.best(one, count=1))]
    whole = QuestionSet("far", tuple(Question(0, one, "") for one in far))
    return [far[place] for place in sample(whole, count)]


def _long_words(text: str) -> list[str]:
    return [word for word in _WORD.findall(text) if len(word) >= LEAST_LETTERS]


def _stems(text: str) -> frozenset[str]:
    return frozenset(word[:STEM].lower().replace("ё", "е") for word in _long_words(text))
