"""The same question in many wordings, by rules that know no template of any table.

Training uses the family of `Reworder.reword`: words dropped, shuffled, endings changed, slips of the keyboard, openings.
The exam's set `reworded` uses `heldout_wording`: whole frames around the question, none of which is ever trained.
"""

import random
import re
from collections import Counter
from collections.abc import Callable, Iterable

_WORD = re.compile(r"[^\W_]+(?:[-.,/][^\W_]+)*")
_BRACKET = re.compile(r"\s*\(([^()]*)\)")

_OPENINGS = {
    "ru": ("Привет! ", "Скажи, ", "Скажите, ", "Слушай, ", "А ", "Ответь: ", "Вопрос: ", "Ну ", "Интересно, "),
    "en": ("Hi! ", "Say, ", "Tell me, ", "So ", "Well, ", "Answer: ", "Question: ", "Hey, ", "I wonder, "),
}
_ENDINGS = {
    "ru": "а у ы е и о ом ем ой ов ам ами ах ый ая ое ого ому ую ет ит ут ть л ла".split(),
    "en": "s ed ing er es ly e d".split(),
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


class Reworder:
    """Makes training wordings for the questions of one table; it knows which words tell them apart."""

    def __init__(self, questions: Iterable[str]) -> None:
        self._rows_with = Counter(word for question in questions for word in {w.lower() for w in _WORD.findall(question)})

    def reword(self, question: str, rng: random.Random) -> str:
        """Another wording of `question`, by one to three changes drawn from `rng`. Never empty."""
        language = language_of(question)
        question = self._bracket(question, rng)
        changes = rng.sample(("drop", "shuffle", "ending", "slip", "opening", "bare"), rng.choice((1, 2, 2, 3)))
        if "drop" in changes:
            question = self._drop(question, rng)
        if "shuffle" in changes:
            question = self._shuffle(question, rng)
        if "ending" in changes:
            question = self._change_words(question, rng, lambda word: _new_ending(word, language, rng))
        if "slip" in changes:
            question = self._change_words(question, rng, lambda word: _slip(word, rng))
        if "bare" in changes or rng.random() < 0.2:
            question = question.rstrip("?.! ").lower()
        if "opening" in changes:
            question = rng.choice(_OPENINGS[language]) + _lower_first(question)
        return question

    def _bracket(self, question: str, rng: random.Random) -> str:
        """A bracketed synonym is left out, stands alone in place of the word before it, or stays."""
        found = _BRACKET.search(question)
        if not found or (choice := rng.random()) < 0.25:
            return question
        before, synonym, after = question[: found.start()], found.group(1), question[found.end() :]
        if choice < 0.7 or " " not in before:
            return before + after
        return f"{before.rsplit(' ', 1)[0]} {synonym}{after}"

    def _distinctive(self, word: str) -> bool:
        return self._rows_with[word.lower()] <= 2

    def _drop(self, question: str, rng: random.Random) -> str:
        """Leaves out words, common ones more readily; a number, a name and the rarest word always stay."""
        words = question.split()
        rarest = min(words, key=lambda word: (self._rows_with[_bare(word)], -len(word)))
        kept = [
            word
            for word in words
            if word is rarest or _is_fixed(word) or rng.random() > (0.15 if self._distinctive(_bare(word)) else 0.4)
        ]
        return " ".join(kept)

    def _shuffle(self, question: str, rng: random.Random) -> str:
        words = question.rstrip("?.! ").split()
        rng.shuffle(words)
        return " ".join(words)

    def _change_words(self, question: str, rng: random.Random, change: Callable[[str], str]) -> str:
        """Applies `change` to one word in three, at least to one; numbers and names are never touched."""
        words = question.split(" ")
        able = [i for i, word in enumerate(words) if len(_bare(word)) >= 4 and not _is_fixed(word)]
        for i in rng.sample(able, min(len(able), max(1, len(able) // 3))):
            words[i] = _WORD.sub(lambda found: change(found.group()), words[i], count=1)
        return " ".join(words)


def _bare(word: str) -> str:
    return word.strip("?.,!:;«»\"'()").lower()


def _is_fixed(word: str) -> bool:
    """A number, an abbreviation or a name: one letter changed there would make another fact."""
    core = word.strip("?.,!:;«»\"'()")
    return any(letter.isdigit() for letter in core) or core[1:] != core[1:].lower()


def _new_ending(word: str, language: str, rng: random.Random) -> str:
    if len(word) < 5:
        return word
    return word[: -rng.choice((1, 1, 2))] + rng.choice(_ENDINGS[language])


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
    first = text.split(" ", 1)[0]
    return text if _is_fixed(first) else text[:1].lower() + text[1:]
