"""English questions in other words: the kind of a question is found by its structure, its topic asked in other frames.

The kinds and their frames are in `english.toml`.
"""

import re
from collections.abc import Iterator

from znatok.data.reword.english_answer import told
from znatok.data.reword.exact import TOGETHER, core, has_number, is_exact, lower_first
from znatok.data.reword.kinds import Kind, kind_named, kinds
from znatok.data.reword.material import MOST_TELLING_WORDS, Material, Word, filled, in_balance, in_groups, names_apart

_REQUEST = re.compile(
    r"^(?:please,? )?(?:(?:can|could|would|will) you (?:please )?)?(?:tell me|say|explain(?: to me)?|describe),? "
    r"(?=(?:what|how|why|when|where|who|which|whether)\b)",
    re.IGNORECASE,
)
_ASKING = re.compile(
    r"(?:(?:in|on|at|to|from|by|with|for|of|about) )?(?:what|how|why|when|where|who|whom|whose|which)\b|what's |who's |"
    r"(?:is|are|was|were|do|does|did|can|could|may|should|must|will|would|has|have|am) ",
    re.IGNORECASE,
)
_ARTICLE = re.compile(r"^(?:an?|the|some|any) ", re.IGNORECASE)
_TOOL = re.compile(
    r"\b(?:used|uses?|serves?|helps?|allows?|lets|needed|designed|measures?|protects?|controls?) |\bin order to\b",
    re.IGNORECASE,
)
_MANY = re.compile(r"(?<!s)s$", re.IGNORECASE)
_ANY_ASKS = ("what", "how", "which", "how much", "where")
_SMALL = frozenset("a an of in on at to by or as is it if so no be".split())

_EMPTY = frozenset(
    "the and but for nor not are was were been being has have had having does did done can could may might will would "
    "shall should must this that these those they them their its his her him she you your our with without from into "
    "onto upon over under about above below between after before during until while when where what which who whom "
    "whose why how than then there here very more most much many some any each every both few other another same "
    "also only just even still yet too almost often usually mostly always never because since though although "
    "unless whether either neither called means make makes made use used uses using thing things way ways get "
    "such sometimes kind sort gets got take takes give gives one two it's don't doesn't isn't aren't itself "
    "themselves".split()
)


def material(question: str, answer: str) -> Material:
    """What wordings of an English row are made of."""
    asked = stripped(question)
    kind, groups = _kind(asked)
    frames: list[str] = []
    topics: list[str] = []
    for fields in _fields(groups):
        frames += filled(kind.frames + (kind.tool_frames if _TOOL.search(answer) else ()), fields) if kind else []
        topics += filled(("{n}",), fields)
    if _ASKING.match(asked):
        frames += filled(kind_named("english", "any").frames, {"q": names_apart(asked)[0]})
    elif not frames and asked:
        for name in names_apart(asked):
            frames += filled(kind_named("english", "bare").frames, {"q": name, "n": _ARTICLE.sub("", name)})
    return Material(
        frames=tuple(dict.fromkeys(filter(in_balance, frames))),
        told=in_groups(told(answer, topics)),
        words=telling_words(question, answer),
        asks=kind.asks if kind else _ANY_ASKS,
    )


def stripped(question: str) -> str:
    """The question itself, its first letter small, without a request before it and the mark behind it."""
    asked = " ".join(question.replace("’", "'").split()).rstrip("?.!… ")
    asked = _REQUEST.sub("", asked, count=1)
    return lower_first(asked) if _ASKING.match(asked) else asked


def _kind(asked: str) -> tuple[Kind | None, dict[str, str]]:
    """The first kind that the question fits, with the groups that were found in it."""
    for kind in kinds("english"):
        for pattern in kind.patterns:
            if match := pattern.fullmatch(asked):
                groups = {name: found for name, found in match.groupdict().items() if found}
                if all(in_balance(found) and any(map(str.isalnum, found)) for found in groups.values()):
                    return kind, groups
    return None, {}


def _fields(groups: dict[str, str]) -> Iterator[dict[str, str]]:
    """What the frames are filled in with, once for each name of the topic."""
    fields = {name: found.strip(" ,") for name, found in groups.items()}
    topic = "x" if "x" in groups else "n" if "n" in groups else None
    if "y" in fields:
        fields["y"] = names_apart(fields["y"])[0]
        fields["ny"] = _ARTICLE.sub("", fields["y"])
    if topic is None:
        yield fields
        return
    for name in names_apart(fields[topic]):
        # A synonym takes the article of the first name: "a resistor (current limiter)".
        article = _ARTICLE.match(fields[topic])
        needs_article = article and not _ARTICLE.match(name) and not is_exact(core(name))
        said = f"{_fitted(article[0], name)}{name}" if article and needs_article else name
        own = {topic: said, "n": _ARTICLE.sub("", name)}
        yield fields | _agreement(fields, name) | own


def _fitted(article: str, name: str) -> str:
    if article.lower() not in ("a ", "an "):
        return article
    return "an " if name[:1].lower() in "aeiou" else "a "


def _agreement(fields: dict[str, str], topic: str) -> dict[str, str]:
    """is or are, does or do, the -s of a verb, from what stands in the question or from the topic's own ending."""
    be, do = fields.get("be", "").lower(), fields.get("do", "").lower()
    if be or do:
        is_many = be in ("are", "were") or do == "do"
    else:
        is_many = not _ARTICLE.match(topic) and bool(_MANY.search(topic.split()[-1]))
    return {
        "be": be or ("are" if is_many else "is"),
        "do": do or ("do" if is_many else "does"),
        "s": "" if is_many else "s",
    }


def telling_words(question: str, answer: str) -> tuple[Word, ...]:
    """The words that carry the row's fact, those of the question first, none twice; numbers with their units whole."""
    found: dict[str, Word] = {}
    for text, is_asked in ((question, True), (answer, False)):
        for item in TOGETHER.findall(text):
            number, *small = core(item.replace("’", "'")).split(" ")
            word = number if len(small) == 1 and small[0].lower() in _EMPTY | _SMALL else " ".join([number, *small])
            key = word.lower()
            is_telling = has_number(word) or (len(word) > 2 and key not in _EMPTY) or (len(word) > 1 and word.isupper())
            if is_telling and key not in found:
                found[key] = Word(_forms(word), is_asked)
    return tuple(found.values())[:MOST_TELLING_WORDS]


def _forms(word: str) -> tuple[str, ...]:
    """The word, and it with or without the -s of the plural."""
    if is_exact(word) or len(word) < 4 or not word.isascii() or not word.isalpha():
        return (word,)
    if word.endswith("ies"):
        return word, f"{word[:-3]}y"
    if word.endswith(("ss", "us", "is", "ing", "ed", "ly")):
        return (word,)
    if word.endswith("s"):
        return word, word[:-1]
    return word, f"{word}s"
