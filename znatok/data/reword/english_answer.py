"""Questions made from what an English answer says: "What do you call …?", "Which tool measures …?", "Is it true …?"

This is what people ask who do not know the row's own words: they describe the thing and want its name, or they have
heard a part of the answer and ask whether it is so.
"""

import re
from collections.abc import Iterator, Sequence

from znatok.data.reword.exact import lower_first
from znatok.data.reword.kinds import kind_named
from znatok.data.reword.material import cut, filled, sentences

MOST_WORDS = 16
LEAST_WORDS = 3
_SENTENCES = 3

_CLAUSE_END = re.compile(
    r"\s*[:;]\s|\s+[—–]\s+|\.\s|,\s+(?=(?:and|but|so|yet|or|because|although|though|while|whereas|since|which means)\b)"
)
_COMMA = re.compile(r",\s|\s*[:;]\s|\s+[—–]\s+|\.\s")
_DEFINITION = re.compile(
    r"^(?P<name>\S+(?: \S+){0,5}?)(?: \([^()]*\))?"
    r"(?:,? (?P<be>is|are|was|were) |,? (?:means|refers to|denotes) |\s+[—–-]\s+)"
    r"(?P<said>(?:an?|the|any|one of the|one of|two|three|several)\s.+)$",
    re.IGNORECASE,
)
_WHICH = re.compile(
    r"^(?:an?|the|any) (?P<kind>\S+(?: \S+){0,3}?),? (?P<link>that|which|who) (?P<rest>.+)$", re.IGNORECASE
)
_FOR = re.compile(
    r"^(?:an?|the|any) (?P<kind>\S+(?: \S+){0,3}?) (?P<rest>(?:used|made|designed|meant) (?:to|for|of|from) .+)$"
)
_PRONOUN = re.compile(r"^(?P<who>it|they|he|she) (?P<rest>.+)$", re.IGNORECASE)
_VERB = re.compile(
    r"^(?:(?:is|are|was|were|can|may|must|should|will|would|has|have|had|does|do|did|cannot|never|always|usually|often)\b|"
    r"\w+(?:[^s\W]s|ed)\b)",
    re.IGNORECASE,
)
_PERSON = re.compile(
    r"\b(?:man|woman|person|king|queen|emperor|writer|poet|painter|composer|scientist|general|leader|president|inventor|"
    r"explorer|physicist|chemist|philosopher|mathematician|actor|singer|who)\b",
    re.IGNORECASE,
)
_LEADING = frozenset(
    "it its it's they their them he she his her this that these those such so then there here thus therefore however "
    "also but and or instead otherwise both another others the-latter for".split()
)
_AUXILIARIES = frozenset("is are was were can has have must may should will cannot does do".split())
_DETERMINERS = frozenset("a an the most some all many no every each few".split())
"""A sentence that begins with one of these says something; others may be orders."""
_HANGING = frozenset("a an the of in on at to for by with and or but that which who as from into than".split())


def told(answer: str, topics: Sequence[str] = ()) -> list[list[str]]:
    """Questions from the first sentences of the answer; those that ask the same thing together.

    topics: what the question calls its thing.
    """
    found = sentences(answer.replace("’", "'"))[:_SENTENCES]
    made: list[list[str]] = []
    for number, sentence in enumerate(found):
        if number == 0:
            made += _from_definition(sentence)
        made += [[asked] for asked in _from_topic(sentence, topics)]
        made += [[asked] for asked in _from_pronoun(sentence)]
        made += _from_statement(sentence, topics)
    return [kept for one in made if (kept := [asked for asked in one if len(asked.split()) >= LEAST_WORDS])]


def _from_definition(sentence: str) -> Iterator[list[str]]:
    """ "X is a Y": what do you call a Y? Which Y does what Y does?"""
    found = _DEFINITION.match(sentence)
    if found is None:
        return
    said = found["said"]
    be = (found["be"] or "is").lower()
    for description in dict.fromkeys(cut(said, border, MOST_WORDS) for border in (_CLAUSE_END, _COMMA)):
        if len(description.split()) >= 3 and not _hangs(description):
            is_person = be in ("was", "is") and _PERSON.search(" ".join(description.split()[:5]))
            name = "named_person" if is_person else "named_many" if be in ("are", "were") else "named"
            yield filled(kind_named("english", name).frames, {"d": lower_first(description)})
    clause = cut(said, _CLAUSE_END, MOST_WORDS)
    if which := _WHICH.match(clause):
        asking = "who" if which["link"].lower() == "who" else "what"
        yield [f"which {which['kind']} {which['rest']}"]
        yield [f"{asking} {which['rest']}"]
    elif used := _FOR.match(clause):
        yield [f"which {used['kind']} is {used['rest']}"]
        yield [f"what is {used['rest']}"]


def _from_pronoun(sentence: str) -> Iterator[str]:
    """ "It stores charge" → "What stores charge?"; "They are used in radios" → "What are used in radios?" """
    found = _PRONOUN.match(sentence)
    if found is None or not _VERB.match(found["rest"]):
        return
    asking = "who" if found["who"].lower() in ("he", "she") else "what"
    for border in (_CLAUSE_END, _COMMA):
        said = cut(found["rest"], border, MOST_WORDS)
        if len(said.split()) >= 2 and not _hangs(said):
            yield f"{asking} {said}"


def _from_statement(sentence: str, topics: Sequence[str]) -> Iterator[list[str]]:
    """A whole statement of the answer: is it so? And what is it that does so?"""
    words = sentence.split()
    first = words[0].strip(",").lower()
    if first in _LEADING or len(words) < 4:
        return
    for said in dict.fromkeys(cut(sentence, border, MOST_WORDS) for border in (_CLAUSE_END, _COMMA)):
        place = _verb_place(said)
        is_told = (
            place is not None or first in _DETERMINERS or any(map(sentence.lower().startswith, map(str.lower, topics)))
        )
        if len(said.split()) < 4 or _hangs(said) or not is_told:
            continue
        yield filled(kind_named("english", "whole").frames, {"s": _lowered_start(said)})
        if place is None:
            continue
        rest = said.split()[place:]
        if 0 < place <= 5 and len(rest) >= 3:
            yield [f"{'who' if _PERSON.search(said) else 'what'} {' '.join(rest)}"]


def _verb_place(sentence: str) -> int | None:
    """Where the verb stands, if it is one that needs no dictionary, behind one to six words of a subject."""
    words = sentence.split()
    return next((place for place, word in enumerate(words[1:7], 1) if word.lower() in _AUXILIARIES), None)


def _from_topic(sentence: str, topics: Sequence[str]) -> Iterator[str]:
    """A sentence that begins with the topic of the question: the topic is asked for."""
    for topic in topics:
        found = re.match(rf"(?:an?|the)?\s*{re.escape(topic)}\s+(?P<rest>\S.*)$", sentence, re.IGNORECASE)
        if found is None or found["rest"][0] in "(—–-":
            continue
        for border in (_CLAUSE_END, _COMMA):
            said = cut(found["rest"], border, MOST_WORDS)
            if len(said.split()) >= 2 and not _hangs(said):
                yield f"{'who' if _PERSON.search(said) else 'what'} {said}"


def _lowered_start(text: str) -> str:
    """The first letter small, unless a name of two words begins there."""
    words = text.split(" ", 2)
    return text if len(words) > 1 and words[1][:1].isupper() else lower_first(text)


def _hangs(words: str) -> bool:
    return words.split()[-1].lower() in _HANGING
