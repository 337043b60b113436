"""Russian questions in other words: the kind of a question is found by its structure, its topic asked in other frames.

The kinds and their frames are in `russian.toml`.
"""

import re
from collections.abc import Iterator

from znatok.data.reword.exact import core
from znatok.data.reword.kinds import Kind, kind_named, kinds
from znatok.data.reword.material import Material, filled, in_balance, in_groups, names_apart
from znatok.data.reword.russian_answer import told
from znatok.data.reword.russian_forms import (
    CASES,
    Phrase,
    first_reading,
    is_infinitive,
    is_kind,
    lowered_start,
    phrase,
)
from znatok.data.reword.russian_words import telling_words

_AGREEING = {
    forms.split()[0]: tuple(forms.split())
    for forms in (
        "нужен нужна нужно нужны",
        "полезен полезна полезно полезны",
        "устроен устроена устроено устроены",
        "равен равна равно равны",
        "похож похожа похоже похожи",
        "он она оно они",
        "какой какая какое какие",
        "каков какова каково каковы",
        "такой такая такое такие",
        *(
            f"{verb}т {verb}т {verb}т {many}"
            for verb, many in (
                ("служи", "служат"),
                ("работае", "работают"),
                ("делае", "делают"),
                ("играе", "играют"),
                ("значи", "значат"),
                ("уступае", "уступают"),
                ("представляе", "представляют"),
            )
        ),
        "используется используется используется используются",
        "встречается встречается встречается встречаются",
        "отличается отличается отличается отличаются",
    )
}
"""Words of the frames that agree with the topic: masculine, feminine, neuter, plural."""

_REQUEST = re.compile(
    r"^(?:пожалуйста,? )?(?:рас?скажи|объясни|поясни|скажи|подскажи|напомни|ответь|опиши|уточни)(?:те)?"
    r"(?: пожалуйста| мне| нам| вкратце| подробно)*[,:]? ?(?:пожалуйста,? )?"
    r"(?=(?:в |на |с |к |до |от |из |по |для |у |о )?(?:что|как|поч|зач|чем|чег|гд|ког|кто|куд|отк|ско|мож|нуж)\w*\b)",
    re.IGNORECASE,
)
_TOOL = re.compile(
    r"\b(?:служ[аи]т|нуж(?:ен|н[аоы])|предназнач\w+|использу\w+|применя\w+|помога\w+|позволя\w+|измеря\w+|"
    r"регулиру\w+|защища\w+)\b",
    re.IGNORECASE,
)
_ASKING = re.compile(
    r"(?:(?:а|и|но|в|во|на|с|со|к|ко|от|до|по|за|из|для|у|о|об|при|под|над|через|из-за) )?"
    r"(?:что|как|почему|зачем|отчего|где|когда|куда|откуда|кто|кого|кому|кем|ком|чем|чего|чему|чём|чей|чья|чьё|чьи|"
    r"скольк\w+|насколько|как(?:ой|ая|ое|ие|ого|ому|им|ими|ом|ую|их)|каков[аоы]?|котор\w+)\b|\S+ ли\b",
    re.IGNORECASE,
)
_ANY_ASKS = ("что", "как", "какой", "сколько", "где")


def material(question: str, answer: str) -> Material:
    """What wordings of a Russian row are made of."""
    asked = stripped(question)
    kind, groups = _kind(asked)
    frames: list[str] = []
    for fields in _fields(groups):
        frames += filled(kind.frames + (kind.tool_frames if _TOOL.search(answer) else ()), fields) if kind else []
    if _ASKING.match(asked):
        frames += filled(kind_named("russian", "any").frames, {"q": names_apart(asked)[0]})
    elif not frames and asked:
        for name in names_apart(asked):
            frames += filled(
                kind_named("russian", "bare").frames, {"q": name} | _in_cases("x", name, "nomn", phrase(name))
            )
    return Material(
        frames=tuple(dict.fromkeys(filter(in_balance, frames))),
        told=in_groups(told(answer)),
        words=telling_words(question, answer),
        asks=kind.asks if kind else _ANY_ASKS,
    )


def stripped(question: str) -> str:
    """The question itself, its first letter small, without a request before it and the mark behind it."""
    asked = " ".join(question.split()).rstrip("?.!… ")
    return lowered_start(_REQUEST.sub("", asked, count=1))


def _kind(asked: str) -> tuple[Kind | None, dict[str, str]]:
    """The first kind that the question fits, with the groups that were found in it."""
    for kind in kinds("russian"):
        for pattern in kind.patterns:
            match = pattern.fullmatch(asked)
            groups = {name: found for name, found in match.groupdict().items() if found} if match else {}
            if match and all(_is_sound(name, found) for name, found in groups.items()):
                return kind, groups
    return None, {}


def _is_sound(name: str, found: str) -> bool:
    """Whether a group is what its name says."""
    if not any(map(str.isalnum, found)):
        return False
    if name == "i":
        return _begins_with_infinitive(found)
    if name[0] in "xy":
        return in_balance(found) and not is_kind(found.split()[0], "VERB", "INFN", "PREP", "CONJ", "GRND")
    return True


def _begins_with_infinitive(words: str) -> bool:
    """An infinitive, with nothing but adverbs before it."""
    for word in words.split():
        if is_infinitive(core(word)):
            return True
        if first_reading(word) is not None and not is_kind(word, "ADVB", "PRCL", "NPRO"):
            return False
    return False


def _fields(groups: dict[str, str]) -> Iterator[dict[str, str]]:
    """What the frames are filled in with, once for each name of the topic."""
    topic = next((name for name in groups if name[0] == "x"), None)
    other = next((name for name in groups if name[0] == "y"), None)
    fields = {name: found.strip(" ,") for name, found in groups.items() if name[0] not in "xyz"}
    where = groups.get("z", "").rstrip()
    fields["z"] = where
    if not where or is_kind(where.split()[0], "PREP"):
        fields["z_in"] = where
    if topic is None:
        yield fields
        return
    for name in names_apart(groups[topic]):
        found = phrase(name, topic[2:])
        own = _in_cases("x", name, topic[2:], found) | _agreement(found)
        if other is not None:
            second = names_apart(groups[other])[0]
            gender = found.gender if found else None
            own |= _in_cases("y", second, other[2:], phrase(second, other[2:], gender))
        yield fields | own


def _in_cases(letter: str, text: str, case: str, found: Phrase | None) -> dict[str, str]:
    """A noun phrase in every case; where it could not be read, only in the one that it stands in."""
    fields = {}
    for name in CASES:
        form = text if name == case else found.form(name) if found else None
        if form is not None:
            fields[letter if name == "nomn" else f"{letter}_{name}"] = form
    if about := fields.get(f"{letter}_loct"):
        fields[f"о_{letter}"] = f"{'об' if about[:1].lower() in tuple('аоуэи') else 'о'} {about}"
    return fields


def _agreement(topic: Phrase | None) -> dict[str, str]:
    agreed = {name: topic.agreeing(forms) for name, forms in _AGREEING.items()} if topic else {}
    return {name: form for name, form in agreed.items() if form is not None}
