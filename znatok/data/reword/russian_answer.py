"""Questions made from what a Russian answer says: «Что накапливает заряд?», «Чем измеряют ток?», «Правда, что …?»

This is what people ask who do not know the row's own words: they describe the thing and want its name, or they have
heard a part of the answer and ask whether it is so.
"""

import re
from collections.abc import Iterator

from znatok.data.reword.exact import core, has_number
from znatok.data.reword.kinds import kind_named
from znatok.data.reword.material import filled, sentences
from znatok.data.reword.russian_definition import DASH, from_definition
from znatok.data.reword.russian_forms import first_reading, is_kind, lowered_start, phrase
from znatok.data.reword.russian_sentence import (
    LEADING,
    asked_of,
    beginnings,
    subject_of,
    verb_place,
)

LEAST_WORDS = 3
_SENTENCES = 3
"""Of a long answer so many sentences are used."""

_PRONOUN = re.compile(
    r"^(?:(?P<prep>в|во|на|из|с|со|для|без|от|до|у|к|под|над|за|через|по|при|о|об|про|вокруг|внутри|около|после|перед)\s+"
    r"(?P<after>нём|нем|него|неё|нее|них|ним|нею|ней|ними|нему)"
    r"|(?P<alone>он|она|оно|они|его|её|ее|их|им|ими))\s+(?P<rest>.+)$",
    re.IGNORECASE,
)
_POINTING = frozenset(
    "он она оно они его её ее их им ими ей ему нём нем него неё нее них ним нею ними это этот эта эти этого этой этому "
    "этом эту этих этим этими такой такая такое такие таким тот та то те того той тем тех последний".split()
)
_MOST_BEFORE = 7
"""Words before which a pronoun may stand for the topic."""

_FROM = "из для без от до у вокруг внутри около после".split()
_THING = {"gent": "чего", "datv": "чему", "accs": "что", "ablt": "чем", "loct": "чём"}
_PERSON = {"gent": "кого", "datv": "кому", "accs": "кого", "ablt": "кем", "loct": "ком"}


def told(answer: str) -> list[list[str]]:
    """Questions from the first sentences of the answer, in their order; those that ask the same thing together."""
    made: list[list[str]] = []
    found = sentences(answer)[:_SENTENCES]
    is_alive = bool(found) and _is_alive(found[0])
    for number, sentence in enumerate(found):
        if number == 0:
            made += from_definition(sentence)
        made += [[asked] for asked in (*_from_pronoun(sentence, is_alive), *_from_subject(sentence, is_alive))]
        made += _from_statement(sentence, leans=number > 0)
    return [kept for one in made if (kept := [asked for asked in one if len(asked.split()) >= LEAST_WORDS])]


def _is_alive(sentence: str) -> bool:
    """Whether the answer begins with a person or an animal."""
    subject = subject_of(sentence)
    chief = subject[0] if subject else phrase(lowered_start(DASH.split(sentence, maxsplit=1)[0]))
    return chief is not None and chief.is_alive


def _from_subject(sentence: str, is_alive: bool) -> Iterator[str]:
    """«Фильтр пропускает …» → «Что пропускает …?»; «Постоянный ток он не пропускает» → «Что постоянный ток не …?»"""
    words = sentence.split()
    place = next((at for at, word in enumerate(words[:_MOST_BEFORE]) if word in ("он", "она", "оно", "они")), None)
    if place is not None and not words[place - 1].endswith(","):
        for said in beginnings(lowered_start(" ".join((*words[:place], *words[place + 1 :])))):
            if asked := asked_of(said, "plur" if words[place] == "они" else None, is_alive):
                yield asked
    elif found := subject_of(sentence):
        for said in beginnings(found[1]):
            if asked := asked_of(said, found[0].number, found[0].is_alive):
                yield asked


def _from_pronoun(sentence: str, is_alive: bool) -> Iterator[str]:
    """«Им измеряют ток» → «Чем измеряют ток?», «На нём строят усилители» → «На чём строят усилители?»"""
    found = _PRONOUN.match(sentence)
    if found is None:
        return
    asking = _PERSON if is_alive else _THING
    for said in beginnings(found["rest"]):
        if found["prep"]:
            preposition = found["prep"].lower()
            asked = asking[_case_of_pronoun(preposition, found["after"].lower())]
            yield f"{'во' if (preposition, asked) == ('в', 'что') else preposition} {asked} {said}"
        else:
            yield from _from_bare_pronoun(found["alone"].lower(), said, asking, is_alive)


def _from_bare_pronoun(pronoun: str, said: str, asking: dict[str, str], is_alive: bool) -> Iterator[str]:
    if pronoun in ("он", "она", "оно", "они"):
        if asked := asked_of(said, "plur" if pronoun == "они" else None, is_alive):
            yield asked
    elif pronoun in ("им", "ими"):
        yield f"{asking['ablt']} {said}"
    elif is_kind(said.split()[0], "NOUN", "ADJF"):  # «его сопротивление велико»
        yield f"у {asking['gent']} {said}"
    else:
        yield f"{asking['accs']} {said}"


def _case_of_pronoun(preposition: str, pronoun: str) -> str:
    if pronoun in ("нём", "нем"):
        return "loct"
    if pronoun in ("ним", "нею", "ними"):
        return "ablt"
    if pronoun == "нему" or preposition in ("к", "по"):
        return "datv"
    if preposition in _FROM:
        return "gent"
    if pronoun in ("него", "неё", "нее") or preposition in ("через", "про"):
        return "accs"
    return "ablt" if preposition in ("с", "со", "под", "над", "за", "перед") else "loct"


def _from_statement(sentence: str, leans: bool) -> Iterator[list[str]]:
    """A whole statement of the answer: is it so?  leans: another sentence goes before, which a pronoun may mean."""
    words = [core(word) for word in sentence.split()]
    if words[0].lower() in LEADING or _PRONOUN.match(sentence) or _is_order(words[0]):
        return
    if is_kind(words[0], "ADJF") and len(words) > 1 and not is_kind(words[1], "ADJF", "PRTF", "NOUN"):
        return  # «простейший собирают из …»: a simplest what?
    for said in beginnings(sentence):
        if leans and any(core(word).lower() in _POINTING for word in said.split()):
            continue
        if len(said.split()) >= 4 and (verb_place(said) is not None or has_number(said)):
            yield filled(kind_named("russian", "whole").frames, {"s": lowered_start(said)})


def _is_order(word: str) -> bool:
    """«Поставьте деталь помощнее»: nothing that may be true or not."""
    reading = first_reading(word)
    return reading is not None and reading.tag.mood == "impr"
