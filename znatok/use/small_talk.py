"""What a conversation says by itself: what the model was taught and how it did, and answers to greetings and thanks.

A model that was taught a table knows no manners, so the interface has them. Only whole short phrases count, so that no
question is ever swallowed; a phrase that the table asks, too, goes to the model.
"""

import json
import re
from dataclasses import dataclass

from znatok.errors import ZnatokError
from znatok.messages import text
from znatok.run_folder import RunFolder, read_lines

SAMPLES = 3
SHOWN_LETTERS = 100

PHRASES = {
    "greeting": (
        "привет, здравствуй, здравствуйте, доброе утро, добрый день, добрый вечер, "
        "hi, hello, hey, hi there, hello there, good morning, good afternoon, good evening"
    ),
    "thanks": (
        "спасибо, спасибо большое, большое спасибо, благодарю, "
        "thanks, thank you, thanks a lot, many thanks, thank you very much"
    ),
    "who": "кто ты, ты кто, кто вы, вы кто, как тебя зовут, who are you, what are you, what is your name",
    "what": (
        "что ты умеешь, что умеешь, что вы умеете, что ты можешь, что ты знаешь, чему тебя учили, "
        "what can you do, what do you know, what were you taught"
    ),
}
_KIND = {phrase: kind for kind, phrases in PHRASES.items() for phrase in phrases.split(", ")}


@dataclass(frozen=True, slots=True)
class Taught:
    """What a run's model was taught. `score` is the exam in one sentence; None where there was none."""

    table: str
    rows: int
    samples: tuple[str, ...]
    score: str | None
    asked: frozenset[str]

    def opening(self) -> str:
        """The score, and questions to begin with."""
        samples = [text("chat.samples"), *(f"  {sample}" for sample in self.samples)]
        return "\n".join([self.score, *samples] if self.score else samples)

    def reply(self, line: str) -> str | None:
        """The interface's own answer to a greeting and the like; None where `line` is for the model."""
        phrase = _plain(line)
        kind = _KIND.get(phrase)
        if kind is None or phrase in self.asked:
            return None
        taught = text("chat.talk.taught", table=self.table, rows=self.rows, sample=self.samples[0])
        return text(f"chat.talk.{kind}", taught=taught)


def read_taught(run: RunFolder) -> Taught | None:
    """What the model of `run` was taught; None where its files do not say."""
    try:
        records = [record for record in read_lines(run.rows) if "question" in record]
        table = json.loads(run.plan.read_text(encoding="utf-8")).get("table", run.path.name)
        questions = [str(record["question"]) for record in records if record["use"] == "trained"]
    except (OSError, ValueError, KeyError, TypeError, AttributeError, ZnatokError):
        return None
    if not questions:
        return None
    places = {place * len(questions) // SAMPLES for place in range(SAMPLES)}
    samples = tuple(_shortened(questions[place]) for place in sorted(places))
    asked = frozenset(_plain(str(record["question"])) for record in records)
    return Taught(str(table), len(questions), samples, _score(run), asked)


def _score(run: RunFolder) -> str | None:
    try:
        sets = json.loads(run.exam.read_text(encoding="utf-8"))["sets"]
        exact = f"{sets['trained']['after']['exact']:.1%}"
    except (OSError, ValueError, KeyError, TypeError):
        return None
    try:
        passed = f"{sets['reworded']['after']['passed']:.1%}"
    except (KeyError, TypeError):
        return text("chat.score", exact=exact)
    return text("chat.score_reworded", exact=exact, passed=passed)


def _plain(line: str) -> str:
    """Words in small letters, with nothing between them but one space."""
    return " ".join(re.sub(r"[\W_]+", " ", line.casefold().replace("ё", "е")).split())


def _shortened(question: str) -> str:
    line = " ".join(question.split())
    return line if len(line) <= SHOWN_LETTERS else line[: SHOWN_LETTERS - 1] + "…"
