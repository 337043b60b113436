"""Which words of a question tell what it is about, without a dictionary and in any language."""

import re
from collections import Counter
from collections.abc import Sequence

from znatok.records import Row

STEM = 5
"""Letters by which two words are taken for forms of one."""

LEAST_LETTERS = 4
"""Of a word that says what a question is about."""

WORD = re.compile(r"[^\W\d_]+")


def word_counts(rows: Sequence[Row]) -> Counter[str]:
    """In how many questions each word stands."""
    return Counter(word for row in rows for word in {word.lower() for word in WORD.findall(row.question)})


def telling_word(row: Row, counts: Counter[str]) -> str:
    """The rarest long word of the question, which mostly names its subject; "" where it has none."""
    return min(long_words(row.question), key=lambda word: (counts[word.lower()], -len(word)), default="")


def long_words(text: str) -> list[str]:
    return [word for word in WORD.findall(text) if len(word) >= LEAST_LETTERS]


def stem(word: str) -> str:
    return word[:STEM].lower().replace("ё", "е")


def stems(text: str) -> frozenset[str]:
    """Those of its long words."""
    return frozenset(map(stem, long_words(text)))
