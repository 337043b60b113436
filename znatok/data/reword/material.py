"""What a row's wordings are made of, found once for each row by the rules of its language."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from znatok.data.reword.exact import BRACKET, LETTERS, has_number

MOST_TELLING_WORDS = 40
"""Of a long answer the first ones are taken: what it is about stands at its beginning."""

_SENTENCE_END = re.compile(r"(?<=[.!?…])\s+(?=[«“„\"(]?[^\W_a-zа-яё])|(?<=[。！？])")


@dataclass(frozen=True, slots=True)
class Word:
    """A telling word, or a number with its unit. `forms`: as the row has it, then other forms of the same word."""

    forms: tuple[str, ...]
    is_asked: bool
    """It stands in the question, not in the answer."""


@dataclass(frozen=True, slots=True)
class Material:
    """Wordings and pieces of wordings; none has its first letter made large or a mark at its end but where needed.

    frames: the question asked in other words around its topic.  told: asked by what the answer says; those that ask the
    same thing are together, so that each thing is drawn as often.  words: telling
    words of question and answer.  asks: question words that go with the kind of the question.
    """

    frames: tuple[str, ...]
    told: tuple[tuple[str, ...], ...]
    words: tuple[Word, ...]
    asks: tuple[str, ...]


def filled(frames: Iterable[str], fields: Mapping[str, str]) -> list[str]:
    """Every frame whose fields are all there, filled in. A form that a language does not know is just absent."""
    made = []
    for frame in frames:
        try:
            made.append(frame.format_map(fields))
        except KeyError:
            continue
    return made


def names_apart(topic: str) -> tuple[str, ...]:
    """«оптопара (оптоизолятор)» as its two names. Of a bracket with a number, or none, the topic as it is."""
    found = BRACKET.search(topic)
    if not found:
        return (topic,)
    before, inside, after = topic[: found.start()].strip(), found.group(1).strip(), topic[found.end() :].strip()
    if has_number(inside) or not LETTERS.search(inside) or not LETTERS.search(before):
        return (topic,)
    # Behind a name that a bracket follows in the middle, the rest belongs to both.
    return tuple(" ".join(filter(None, (name, after))) for name in (before, inside))


def sentences(text: str) -> list[str]:
    """The sentences of an answer, without the marks at their ends."""
    return [found for part in _SENTENCE_END.split(" ".join(text.split())) if (found := part.strip(" .!?…。！？"))]


def cut(sentence: str, border: re.Pattern[str], most_words: int) -> str:
    """The beginning of `sentence` up to the first `border`, at most so many words, without a loose comma."""
    whole = border.split(sentence, maxsplit=1)[0].strip(" ,;:—–-")
    words = whole.split()
    if len(words) <= most_words:
        return whole
    # At a comma if there is one far enough on, so that no half of a phrase is left over.
    for place in range(most_words, 3, -1):
        if words[place - 1].endswith((",", ";", ":")):
            return " ".join(words[:place]).strip(" ,;:—–-")
    return ""


def in_groups(told: Iterable[Iterable[str]]) -> tuple[tuple[str, ...], ...]:
    """Groups of questions without what was torn, and none twice."""
    seen: set[str] = set()
    groups = []
    for group in told:
        kept = tuple(dict.fromkeys(one for one in group if one not in seen and in_balance(one)))
        seen.update(kept)
        if kept:
            groups.append(kept)
    return tuple(groups)


def in_balance(text: str) -> bool:
    """Whether no bracket or quotation mark was torn from its pair."""
    return all(text.count(one) == text.count(other) for one, other in ("()", "«»", "“”", "[]")) and (
        text.count('"') % 2 == 0
    )
