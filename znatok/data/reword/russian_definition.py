"""Questions made from a Russian definition: its name is asked for, as by one who knows the thing and not the word."""

import re
from collections.abc import Iterator
from typing import Any

from znatok.data.reword.kinds import kind_named
from znatok.data.reword.material import cut, filled
from znatok.data.reword.russian_forms import Phrase, is_kind, lowered_start, phrase, readings
from znatok.data.reword.russian_sentence import (
    CLAUSE_END,
    COMMA,
    MOST_WORDS,
    asked_of,
    beginnings,
    begins_with_verb,
    hangs,
    verb_place,
)

_MOST_NAME_WORDS = 6
DASH = re.compile(r"\s+[—–]\s+(?:это\s+)?|\s+это\s+")
_WHICH = re.compile(
    r",\s+(?:(\S+(?:\s[^\s,]+)?)\s+)?(котор\w+|ч(?:ей|ья|ьё|ье|ьи|ьего|ьих)|где)\s+(.+)$", re.IGNORECASE
)
_PLAIN_WHICH = ("который", "которая", "которое", "которые")
_CASE_BY_PREPOSITION = {
    **dict.fromkeys("из для без от до у вокруг внутри около после ради кроме против вместо".split(), "gent"),
    **dict.fromkeys("к по благодаря".split(), "datv"),
    **dict.fromkeys("с со под над за перед".split(), "ablt"),
    **dict.fromkeys("в во на о об при".split(), "loct"),
}


def from_definition(sentence: str) -> Iterator[list[str]]:
    """«X — это Y»: «Как называется Y?», and of a Y that does something «Какой Y это делает?»"""
    parts = DASH.search(sentence)
    if parts is None:
        return
    name, said = sentence[: parts.start()], sentence[parts.end() :].strip()
    if len(name.split()) > _MOST_NAME_WORDS or verb_place(name) is not None:
        return
    for description in beginnings(said, may_be_torn=True):
        yield filled(_frames(description), {"d": lowered_start(description)})
    for asked in _from_relative(CLAUSE_END.split(said, maxsplit=1)[0]):
        yield [asked]


def _frames(description: str) -> tuple[str, ...]:
    first = " ".join(description.split(",")[0].split())
    chief = phrase(lowered_start(first))
    if is_kind(first.split()[0], "NUMR") or (chief is not None and chief.number == "plur"):
        name = "named_many"
    else:
        name = "named_person" if chief is not None and chief.is_alive else "named"
    return kind_named("russian", name).frames


def _from_relative(said: str) -> Iterator[str]:
    """«диод, который излучает свет» → «Какой диод излучает свет?», «чьё сопротивление падает» → «У какого …?»"""
    found = _WHICH.search(said)
    chief = None if found is None else _chief_of(said[: found.start()])
    if found is None or chief is None:
        return
    before, link, rest = (found[1] or "").lower(), found[2].lower(), cut(found[3], COMMA, MOST_WORDS)
    if len(rest.split()) < 2 or hangs(rest):
        return
    kind, noun = chief
    if link in _PLAIN_WHICH and not before and begins_with_verb(rest):
        yield f"{_which(noun, 'nomn')} {kind.form('nomn')} {rest}"
        ask = "кто это" if kind.is_alive else f"как {'называются' if kind.number == 'plur' else 'называется'}"
        yield f"{kind.form('nomn')}, {link} {rest}, — {ask}"
        if asked := asked_of(rest, noun.tag.number, kind.is_alive):
            yield asked
    elif link == "где" and not before:
        yield from _with_noun("в", "loct", kind, noun, rest)
    elif link.startswith("ч") and not before:
        yield from _with_noun("у", "gent", kind, noun, rest)
    elif before and link in ("которого", "которой", "которых") and is_kind(before.split()[0], "NOUN", "ADJF"):
        yield from _with_noun("у", "gent", kind, noun, f"{before} {rest}")
    elif before and is_kind(before, "PREP") and (case := _case_of_which(before, link)):
        yield from _with_noun(before, case, kind, noun, rest)


def _with_noun(preposition: str, case: str, kind: Phrase, noun: Any, rest: str) -> Iterator[str]:
    if form := kind.form(case):
        yield f"{preposition} {_which(noun, case)} {form} {rest}"


def _which(noun: Any, case: str) -> str:
    """«какой» in the gender, number and case of `noun`."""
    wanted = {case, noun.tag.number} | ({noun.tag.gender} if noun.tag.number == "sing" and noun.tag.gender else set())
    if case == "accs" and (noun.tag.number == "plur" or noun.tag.gender == "masc"):
        wanted.add("anim" if "anim" in noun.tag else "inan")
    form = readings("какой")[0].inflect(wanted)
    return str(form.word) if form else "какой"


def _chief_of(words: str) -> tuple[Phrase, Any] | None:
    """The chief noun of a description with what stands before it, and its reading: «полупроводниковый прибор»."""
    found = phrase(lowered_start(" ".join(words.split())))
    if found is None or found.gender is None:
        return None
    place, noun = next(((at, reading) for at, reading in found.moving if reading.tag.POS == "NOUN"), (0, None))
    short = phrase(" ".join(found.words[: place + 1]).rstrip(",:;"))
    return None if noun is None or short is None else (short, noun)


def _case_of_which(preposition: str, link: str) -> str | None:
    if link.endswith(("ым", "ыми")):
        return "ablt"
    if link.endswith("ому"):
        return "datv"
    if link.endswith("ом"):
        return "loct"
    if link.endswith(("ую", "ый", "ое", "ые")):
        return "accs"
    return _CASE_BY_PREPOSITION.get(preposition)
