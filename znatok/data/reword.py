"""The same question in many wordings, by rules that know no template of any table.

Training uses the family of `Reworder.reword`: words dropped, shuffled, endings changed, slips of a finger, openings,
asides.
The exam's set `reworded` uses `heldout_wording`: whole frames around the question, none of which is ever trained.
"""

import random
import re
from collections import Counter
from collections.abc import Callable, Iterable
from itertools import pairwise

_LETTERS = re.compile(r"[^\W\d_]+")
_SIGNS = r"[=+*/×÷·^<>≈≤≥]"
_ITEM = r"(?:(?:[^\w\s]|\d)*\d\s+(?:[^\W\d_]|[°%])\S*|\S+)"
_TOGETHER = re.compile(rf"{_ITEM}(?:\s+{_SIGNS}\s+{_ITEM})*")
"""A word; or what says something else when it is torn apart: a number with its unit, a formula written with spaces."""
_BRACKET = re.compile(r"\s+\(([^()]*)\)(?!\w)")

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
_FRAMES = {
    "ru": (
        "Подскажи, пожалуйста: {q}",
        "Не могу разобраться сам. {Q} Помоги понять.",
        "Для новичка, коротко и ясно: {q}",
        "{Q} Спрашиваю для школьного доклада.",
        "Объясни простыми словами: {q}",
        "Друг спросил меня: «{Q}» Что ему ответить?",
    ),
    "en": (
        "Could you please explain: {q}",
        "I cannot work this out myself. {Q} Help me understand.",
        "For a beginner, short and clear: {q}",
        "{Q} It is for a school report.",
        "Explain in simple words: {q}",
        "A friend asked me: “{Q}” What should I tell him?",
    ),
}


def language_of(text: str) -> str:
    """ "ru" where most letters are Cyrillic, else "en"."""
    letters = [letter for letter in text.lower() if letter.isalpha()]
    return "ru" if sum("а" <= letter <= "я" or letter == "ё" for letter in letters) * 2 > len(letters) else "en"


def heldout_wording(question: str, number: int) -> str:
    """`question` in a frame that training never uses; row `number` picks which. Never the question itself."""
    frames = _FRAMES[language_of(question)]
    return frames[number % len(frames)].format(Q=question, q=_lower_first(question))


_CHANGES = ("drop", "shuffle", "ending", "slip", "opening", "aside", "bare")


class Reworder:
    """Makes training wordings for the questions of one table; it knows which words tell them apart."""

    def __init__(self, questions: Iterable[str]) -> None:
        self._rows_with = Counter(word for question in questions for word in _counted(question))

    def reword(self, question: str, rng: random.Random) -> str:
        """Another wording of `question`, by one to three changes drawn from `rng`. Never empty.

        Numbers, abbreviations and names keep their letters; numbers and abbreviations keep their case, too.
        """
        language = language_of(question)
        question = " ".join(question.split())
        fixed = _fixed_words(question)
        question = self._bracket(question, rng)
        changes = rng.sample(_CHANGES, rng.choice((1, 2, 2, 3)))
        if "drop" in changes:
            question = self._drop(question, fixed, rng)
        if "shuffle" in changes:
            question = self._shuffle(question, rng)
        if "ending" in changes:
            question = self._change_words(question, fixed, rng, lambda word: _new_ending(word, language, rng))
        if "slip" in changes:
            question = self._change_words(question, fixed, rng, lambda word: _slip(word, rng))
        if "bare" in changes or rng.random() < 0.2:
            question = _lowered(question.rstrip("?.! "), fixed) or question
        if "opening" in changes:
            question = _opened(question, language, rng)
        if "aside" in changes:
            question = _with_aside(question, language, rng)
        return question

    def _bracket(self, question: str, rng: random.Random) -> str:
        """A bracketed synonym is left out, stands alone in place of the word before it, or stays.

        A number is no synonym: «(12 В)» stays, and so does «NE555» before its bracket.
        """
        found = _BRACKET.search(question)
        if not found or (choice := rng.random()) < 0.25:
            return question
        before, synonym, after = question[: found.start()], found.group(1).strip(), question[found.end() :]
        if _has_number(synonym) or not _LETTERS.search(before):
            return question
        *front, replaced = before.split(" ")
        if choice < 0.7 or not front or not synonym or _has_number(replaced):
            return before + after
        return f"{' '.join(front)} {synonym}{after}"

    def _drop(self, question: str, fixed: frozenset[str], rng: random.Random) -> str:
        """Leaves out words, common ones more readily; a number, a name and the rarest word always stay."""
        words = _TOGETHER.findall(question)
        telling = [word for word in words if _bare(word)]
        rarest = min(telling, key=lambda word: (self._rows_with[_bare(word)], -len(word)), default="")
        kept = [
            word
            for word in words
            if word == rarest
            or any(_core(part) in fixed for part in word.split(" "))
            or rng.random() > (0.15 if self._rows_with[_bare(word)] <= 2 else 0.4)
        ]
        return " ".join(kept) or question

    def _shuffle(self, question: str, rng: random.Random) -> str:
        words = _TOGETHER.findall(question.rstrip("?.! "))
        rng.shuffle(words)
        return " ".join(words) or question

    def _change_words(
        self, question: str, fixed: frozenset[str], rng: random.Random, change: Callable[[str], str]
    ) -> str:
        """Applies `change` to one word in three, at least to one; numbers and names are never touched."""
        words = question.split(" ")
        able = [i for i, word in enumerate(words) if len(_longest(word)) >= 4 and _core(word) not in fixed]
        for i in rng.sample(able, min(len(able), max(1, len(able) // 3))):
            letters = _longest(words[i])
            words[i] = words[i].replace(letters, change(letters), 1)
        return " ".join(words)


def _opened(question: str, language: str, rng: random.Random) -> str:
    """Behind a greeting, a request, or both."""
    greeting, request = rng.choice(_GREETINGS[language]), rng.choice(_REQUESTS[language])
    opening = rng.choice((greeting, request[:1].upper() + request[1:], f"{greeting} {request}"))
    return f"{opening} {_lower_first(question)}"


def _with_aside(question: str, language: str, rng: random.Random) -> str:
    """Beside a few everyday words that have nothing to do with it: what surrounds a question must not matter."""
    aside = " ".join(rng.choices(_CHATTER[language].split(), k=rng.randint(2, 5)))
    aside = aside[:1].upper() + aside[1:] + rng.choice((".", "", "!", ","))
    return f"{aside} {question}" if rng.random() < 0.5 else f"{question} {aside}"


def _core(word: str) -> str:
    """A word without the punctuation around it."""
    return word.strip("?.,!:;«»„“”\"'()[]…")


def _bare(word: str) -> str:
    """What words are counted by; empty for a dash and other signs without letters."""
    core = _core(word).lower()
    return core if any(letter.isalnum() for letter in core) else ""


def _counted(question: str) -> set[str]:
    return {_bare(word) for word in _TOGETHER.findall(" ".join(question.split()))}


def _longest(word: str) -> str:
    """The longest run of letters: «цифровой» of «аналого-цифровой»."""
    return max(_LETTERS.findall(word), key=len, default="")


def _has_number(text: str) -> bool:
    return any(letter.isnumeric() for letter in text)


def _is_exact(core: str) -> bool:
    """A number, an abbreviation or a sign: one letter changed there, or its case, would make another fact."""
    return (
        _has_number(core)
        or core[1:] != core[1:].lower()
        or re.search(r"^[^\W\d_]-|[=+#%°@&*<>^~|\\_$€№]", core) is not None
    )


def _fixed_words(question: str) -> frozenset[str]:
    """The words of `question` that keep their letters: numbers, abbreviations, and names by their capital letter."""
    words = question.split()
    cores = [core for core in map(_core, words) if core]
    if question.isupper() and sum(len(_longest(word)) >= 4 for word in words) >= 2:  # A QUESTION THAT SHOUTS
        return frozenset(core for core in cores if _is_exact(core.lower()))
    inside = [_core(word) for before, word in pairwise(words) if not before.endswith((".", "!", "?"))]
    letters = [core for core in inside if len(core) == 1 and core.isupper()]
    ordinary = [core for core in inside if len(core) > 1 and not _is_exact(core)]
    names = [core for core in ordinary if core[0].isupper()]
    if len(names) > 2 and len(names) * 2 > len(ordinary):  # Capitals Mean Nothing In A Title
        names = []
    return frozenset([*names, *letters, *filter(_is_exact, cores)])


def _lowered(text: str, fixed: frozenset[str]) -> str:
    """Small letters, but for abbreviations and one-letter units; a name is as often typed without its capital."""
    return " ".join(
        word if _core(word) in fixed and (len(_core(word)) == 1 or _is_exact(_core(word))) else word.lower()
        for word in text.split(" ")
    )


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


def _lower_first(text: str) -> str:
    """The first letter small, unless the first word is an abbreviation or a name inside."""
    first = _core(text.split(" ", 1)[0])
    return text if _is_exact(first) or first == "I" else text[:1].lower() + text[1:]
