"""Russian sentences: their subject, their verb, and the question that has «что» or «кто» in the subject's place."""

import re
from typing import Any

from znatok.data.reword.exact import core
from znatok.data.reword.material import cut
from znatok.data.reword.russian_forms import (
    Phrase,
    finite,
    first_reading,
    is_kind,
    lowered_start,
    phrase,
    put,
    readings,
)

MOST_WORDS = 14
"""Words of a description or a statement: people do not ask in longer ones."""

CLAUSE_END = re.compile(
    r"\s*[:;]\s|\s+[—–]\s+|\.\s|"
    r",\s+(?=(?:а|но|зато|однако|ведь|поэтому|потом|потому|затем|иначе|хотя|так что|причём|например|то есть)\b)|"
    r",\s+(?=и (?:он|она|оно|они|тот|та|то|те)\b)"
)
COMMA = re.compile(r",\s|\s*[:;]\s|\s+[—–]\s+|\.\s")
"""Borders at which a statement may be cut: the end of a clause, or any mark."""

LEADING = frozenset(
    "он она оно они его её ее их им ими ей ему ней нём нем него неё нее них ним нею ними так такой такая такое такие "
    "таким такого этот эта это эти этого этой этим этих этому тот та то те того тем тех там туда тогда поэтому затем "
    "потом однако но а и или зато ещё еще кроме при например здесь оба обе остальные другой другая другие второй "
    "вторая первый первая последний последняя сам сама само сами оттуда отсюда сюда".split()
)
"""A sentence that begins with one of these leans on the one before it."""

_MOST_BEFORE_VERB = 7


def verb_place(sentence: str) -> int | None:
    """Where the first finite verb of a sentence stands, counted in words."""
    return next((place for place, word in enumerate(sentence.split()) if _is_verb(word)), None)


def begins_with_verb(words: str) -> bool:
    """Whether a finite verb comes before any other mark than its adverbs and objects."""
    for word in words.split():
        if _is_verb(word):
            return True
        if word.endswith((",", ":")) or not (
            word.lower() == "не" or is_kind(word, "ADVB", "PRCL", "PREP", "ADJF", "NOUN", "NPRO")
        ):
            return False
    return False


def subject_of(sentence: str) -> tuple[Phrase, str] | None:
    """The noun phrase that a sentence begins with, and the rest of it from its verb on."""
    words = sentence.split()
    place = verb_place(sentence)
    if place is None or not 0 < place <= _MOST_BEFORE_VERB or core(words[0]).lower() in LEADING:
        return None
    start = place
    while start > 1 and (words[start - 1].lower() == "не" or is_kind(words[start - 1], "ADVB", "PRCL")):
        start -= 1
    front = " ".join(words[:start])
    if re.search(r"[,:;—–]", front) or any(is_kind(word, "INFN") for word in words[:start]):
        return None
    subject = phrase(lowered_start(front))
    if subject is None or not _agrees(subject, finite(words[place])):
        return None
    return subject, " ".join(words[start:])


def _agrees(subject: Phrase, verb: Any) -> bool:
    """Whether a verb may belong to a subject: «гуппи нужна температура» is not about what the guppy does."""
    gender = verb.tag.gender if verb is not None and verb.tag.number == "sing" else None
    return gender is None or subject.gender is None or subject.number != "sing" or gender == subject.gender


def asked_of(said: str, number: str | None, is_alive: bool) -> str | None:
    """`said`, the rest of a sentence behind a subject in this number, with «что» or «кто» in the subject's place."""
    words = said.split()
    place = verb_place(said)
    verb = None if place is None else finite(words[place])
    if place is None or verb is None:
        return None
    if _acts_on(verb, words[place + 1 :], number, is_alive):
        return f"{'кого' if is_alive else 'что'} {said}"
    for at in range(place, len(words)):
        if at > place and words[at - 1].endswith(",") and not _is_verb_next(words, at):
            break
        if _is_verb(words[at]) and (reading := finite(words[at])) is not None:
            words[at] = _singular(reading, words[at], is_alive)
    return f"{'кто' if is_alive else 'что'} {' '.join(words)}"


def _acts_on(verb: Any, behind: list[str], number: str | None, is_alive: bool) -> bool:
    """Whether what looks like the subject is what is acted on: «предохранитель нельзя заменять», «яйца варят»."""
    tag = verb.tag
    if tag.POS == "PRED":
        return True
    if tag.POS != "VERB" or tag.number != "plur":
        return False
    if number == "sing":
        return True
    has_object = bool(behind) and any(
        reading.tag.POS in ("NOUN", "ADJF", "NPRO") and reading.tag.case == "accs" for reading in readings(behind[0])
    )
    return number == "plur" and not is_alive and tag.transitivity == "tran" and not has_object


def _is_verb_next(words: list[str], at: int) -> bool:
    return _is_verb(words[at]) or (words[at].lower() == "не" and at + 1 < len(words) and _is_verb(words[at + 1]))


def hangs(words: str) -> bool:
    """Whether a piece of a sentence ends with a word that calls for another."""
    last = words.split()[-1]
    return is_kind(last, "PREP", "CONJ") or core(last).lower() in ("который", "которая", "которое", "которые", "не")


def _is_verb(word: str) -> bool:
    first = first_reading(word)
    return first is not None and finite(word) is first


def _singular(reading: Any, word: str, is_alive: bool) -> str:
    """The verb as «что» or «кто» wants it."""
    tag = reading.tag
    if tag.tense == "past" or tag.POS in ("ADJS", "PRTS"):
        return put(reading, {"sing", "masc" if is_alive else "neut"}, word) or word
    return (put(reading, {"sing", "3per"}, word) or word) if tag.number == "plur" else word


def beginnings(sentence: str, may_be_torn: bool = False) -> list[str]:
    """A sentence up to the end of its first clause, and up to its first mark, where that is whole enough to be said.

    may_be_torn: before a participle, too, as a description may be, and a statement may not.
    """
    said = []
    for border in (CLAUSE_END, COMMA):
        end = border.search(sentence)
        piece = cut(sentence, border, MOST_WORDS)
        if end and "—" in end[0] and "," in piece:  # «…, где U — напряжение»: what stands before the dash belongs to it
            piece = piece.rsplit(",", 1)[0]
        behind = sentence[end.end() :].split() if end else []
        is_torn = (
            border is COMMA and not may_be_torn and bool(behind) and is_kind(behind[0], "PRTF")
        )  # «единице, делённой на …»
        if len(piece.split()) >= 2 and not is_torn and not hangs(piece) and piece not in said:
            said.append(piece)
    return said
