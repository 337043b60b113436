"""The same question with a few things changed, by rules that know no template of any table and no grammar.

Words dropped, shuffled, endings changed, slips of a finger, openings, asides.
"""

import random
from collections import Counter
from collections.abc import Callable, Iterable

from znatok.data.reword.exact import (
    BRACKET,
    LETTERS,
    TOGETHER,
    bare,
    core,
    fixed_words,
    has_number,
    longest,
    lower_first,
    lowered,
)
from znatok.data.reword.language import language_of

_GREETINGS = {
    "ru": ("Привет!", "Здравствуйте!", "Добрый день.", "Слушай,", "Ребята,", "Так,", "Ну", "А", "Эй,", "Извините,"),
    "en": ("Hi!", "Hello.", "Good day.", "Listen,", "Hey,", "So", "Well,", "Now,", "Folks,", "Excuse me,"),
}
_REQUESTS = {
    "ru": (
        "скажи,",
        "скажите,",
        "ответь:",
        "напомни,",
        "расскажи,",
        "вопрос:",
        "интересно,",
        "хочу знать,",
        "вот что:",
    ),
    "en": ("say,", "tell me,", "answer:", "remind me,", "question:", "I wonder,", "I want to know,", "here it is:"),
}
_CHATTER = {
    "ru": "сегодня вчера завтра очень снова потом дома здесь работа книга время человек город дорога дело день "
    "год вечер место окно стол мама сосед спасибо надо можно знаю забыл читал думаю видел хотел купил "
    "нашёл долго быстро много опять уже ещё наверное всегда мой этот один первый новый старый большой "
    "хороший срочно вроде",
    "en": "today yesterday tomorrow very again then home here book time man town road thing day year "
    "evening place window table mother neighbour thanks need can know forgot read think saw wanted bought "
    "found long fast much once already still perhaps always my one first new old big good urgent "
    "maybe",
}
_ENDINGS = {
    "ru": "а у ы е и о ом ем ой ов ам ами ах ый ая ое ого ому ую ет ит ут ть л ла",
    "en": "s ed ing er es ly e d",
}
_CHANGES = ("drop", "shuffle", "ending", "slip", "opening", "aside", "bare")
_LIGHT_CHANGES = ("slip", "opening", "aside", "bare")
"""Those that leave a sentence whole."""


class Noise:
    """Makes noisy wordings for the questions of one table; it knows which words tell them apart."""

    def __init__(self, questions: Iterable[str]) -> None:
        self._rows_with = Counter(word for question in questions for word in _counted(question))

    def reword(self, question: str, rng: random.Random) -> str:
        """Another wording of `question`, by one to three changes drawn from `rng`. Never empty.

        Numbers, abbreviations and names keep their letters; numbers and abbreviations keep their case, too.
        """
        language = language_of(question)
        question = " ".join(question.split())
        fixed = fixed_words(question)
        question = self._bracket(question, rng)
        changes = rng.sample(_CHANGES, rng.choice((1, 2, 2, 3)))
        if "drop" in changes:
            question = self._drop(question, fixed, rng)
        if "shuffle" in changes:
            question = self._shuffle(question, rng)
        if "ending" in changes:
            question = _change_words(question, fixed, rng, lambda word: _new_ending(word, language, rng))
        if "slip" in changes:
            question = _change_words(question, fixed, rng, lambda word: _slip(word, rng))
        if "bare" in changes or rng.random() < 0.2:
            question = lowered(question.rstrip("?.! "), fixed) or question
        if "opening" in changes:
            question = _opened(question, language, rng)
        if "aside" in changes:
            question = _with_aside(question, language, rng)
        return question

    def _bracket(self, question: str, rng: random.Random) -> str:
        """A bracketed synonym is left out, stands alone in place of the word before it, or stays.

        A number is no synonym: «(12 В)» stays, and so does «NE555» before its bracket.
        """
        found = BRACKET.search(question)
        if not found or (choice := rng.random()) < 0.25:
            return question
        before, synonym, after = question[: found.start()], found.group(1).strip(), question[found.end() :]
        if has_number(synonym) or not LETTERS.search(before):
            return question
        *front, replaced = before.split(" ")
        if choice < 0.7 or not front or not synonym or has_number(replaced):
            return before + after
        return f"{' '.join(front)} {synonym}{after}"

    def _drop(self, question: str, fixed: frozenset[str], rng: random.Random) -> str:
        """Leaves out words, common ones more readily; a number, a name and the rarest word always stay."""
        words = TOGETHER.findall(question)
        telling = [word for word in words if bare(word)]
        rarest = min(telling, key=lambda word: (self._rows_with[bare(word)], -len(word)), default="")
        kept = [
            word
            for word in words
            if word == rarest
            or any(core(part) in fixed for part in word.split(" "))
            or rng.random() > (0.15 if self._rows_with[bare(word)] <= 2 else 0.4)
        ]
        return " ".join(kept) or question

    def _shuffle(self, question: str, rng: random.Random) -> str:
        words = TOGETHER.findall(question.rstrip("?.! "))
        rng.shuffle(words)
        return " ".join(words) or question


def touched(question: str, language: str, rng: random.Random) -> str:
    """`question` with one light change that leaves its sentence whole: a slip, an opening, an aside, small letters."""
    fixed = fixed_words(question)
    match rng.choice(_LIGHT_CHANGES):
        case "slip":
            return _change_words(question, fixed, rng, lambda word: _slip(word, rng), most=1)
        case "opening":
            return _opened(question, language, rng)
        case "aside":
            return _with_aside(question, language, rng)
        case _:
            return lowered(question.rstrip("?.! "), fixed) or question


def _change_words(
    question: str, fixed: frozenset[str], rng: random.Random, change: Callable[[str], str], most: int | None = None
) -> str:
    """Applies `change` to one word in three, at least to one; numbers and names are never touched."""
    words = question.split(" ")
    able = [i for i, word in enumerate(words) if len(longest(word)) >= 4 and core(word) not in fixed]
    for i in rng.sample(able, min(len(able), most or max(1, len(able) // 3))):
        letters = longest(words[i])
        words[i] = words[i].replace(letters, change(letters), 1)
    return " ".join(words)


def _opened(question: str, language: str, rng: random.Random) -> str:
    """Behind a greeting, a request, or both."""
    greeting, request = rng.choice(_GREETINGS[language]), rng.choice(_REQUESTS[language])
    opening = rng.choice((greeting, request[:1].upper() + request[1:], f"{greeting} {request}"))
    return f"{opening} {lower_first(question)}"


def _with_aside(question: str, language: str, rng: random.Random) -> str:
    """Beside a few everyday words that have nothing to do with it: what surrounds a question must not matter."""
    aside = " ".join(rng.choices(_CHATTER[language].split(), k=rng.randint(2, 5)))
    aside = aside[:1].upper() + aside[1:] + rng.choice((".", "", "!", ","))
    return f"{aside} {question}" if rng.random() < 0.5 else f"{question} {aside}"


def _counted(question: str) -> set[str]:
    return {bare(word) for word in TOGETHER.findall(" ".join(question.split()))}


def _new_ending(word: str, language: str, rng: random.Random) -> str:
    if len(word) < 5:
        return word
    return word[: -rng.choice((1, 1, 2))] + rng.choice(_ENDINGS[language].split())


def _slip(word: str, rng: random.Random) -> str:
    """Two letters swapped, one doubled or one lost, behind the first letter."""
    at = rng.randrange(1, len(word) - 1)
    return rng.choice(
        (
            word[:at] + word[at + 1] + word[at] + word[at + 2 :],
            word[:at] + word[at] + word[at:],
            word[:at] + word[at + 1 :],
        )
    )
