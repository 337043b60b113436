"""What must stay to the letter in a wording: numbers with their units, formulas, abbreviations, names."""

import re
from itertools import pairwise

LETTERS = re.compile(r"[^\W\d_]+")
_SIGNS = r"[=+*/×÷·^<>≈≤≥]"
_ITEM = r"(?:(?:[^\w\s]|\d)*\d\s+(?:[^\W\d_]|[°%])\S*|\S+)"
TOGETHER = re.compile(rf"{_ITEM}(?:\s+{_SIGNS}\s+{_ITEM})*")
"""A word; or what says something else when it is torn apart: a number with its unit, a formula written with spaces."""

BRACKET = re.compile(r"\s+\(([^()]*)\)(?!\w)")
_NUMBER = re.compile(r"\d+(?:[.,:/]\d+)*")


def core(word: str) -> str:
    """A word without the punctuation around it."""
    return word.strip("?.,!:;«»„“”\"'()[]…")


def bare(word: str) -> str:
    """What words are counted by; empty for a dash and other signs without letters."""
    inside = core(word).lower()
    return inside if any(letter.isalnum() for letter in inside) else ""


def longest(word: str) -> str:
    """The longest run of letters: «цифровой» of «аналого-цифровой»."""
    return max(LETTERS.findall(word), key=len, default="")


def has_number(text: str) -> bool:
    return any(letter.isnumeric() for letter in text)


def numbers(text: str) -> list[str]:
    """The numbers of `text` in their order, as they are written."""
    return _NUMBER.findall(text)


def is_exact(inside: str) -> bool:
    """A number, an abbreviation or a sign: one letter changed there, or its case, would make another fact."""
    return (
        has_number(inside)
        or inside[1:] != inside[1:].lower()
        or re.search(r"^[^\W\d_]-|[=+#%°@&*<>^~|\\_$€№]", inside) is not None
    )


def fixed_words(question: str) -> frozenset[str]:
    """The words of `question` that keep their letters: numbers, abbreviations, and names by their capital letter."""
    words = question.split()
    cores = [inside for inside in map(core, words) if inside]
    if question.isupper() and sum(len(longest(word)) >= 4 for word in words) >= 2:  # A QUESTION THAT SHOUTS
        return frozenset(inside for inside in cores if is_exact(inside.lower()))
    inner = [core(word) for before, word in pairwise(words) if not before.endswith((".", "!", "?"))]
    letters = [inside for inside in inner if len(inside) == 1 and inside.isupper()]
    ordinary = [inside for inside in inner if len(inside) > 1 and not is_exact(inside)]
    names = [inside for inside in ordinary if inside[0].isupper()]
    if len(names) > 2 and len(names) * 2 > len(ordinary):  # Capitals Mean Nothing In A Title
        names = []
    return frozenset([*names, *letters, *filter(is_exact, cores)])


def lowered(text: str, fixed: frozenset[str]) -> str:
    """Small letters, but for abbreviations and one-letter units; a name is as often typed without its capital."""
    return " ".join(
        word if core(word) in fixed and (len(core(word)) == 1 or is_exact(core(word))) else word.lower()
        for word in text.split(" ")
    )


def lower_first(text: str) -> str:
    """The first letter small, unless the first word is an abbreviation or a name inside."""
    first = core(text.split(" ", 1)[0])
    return text if is_exact(first) or first == "I" else text[:1].lower() + text[1:]


def upper_first(text: str) -> str:
    """The first letter capital, unless the first word is a formula or keeps its letters: p-n, pH."""
    first = core(text.split(" ", 1)[0])
    return text if is_exact(first) else text[:1].upper() + text[1:]
