"""When two questions are the same but for how they were typed, and when they are nearly the same."""

import heapq
import re
import unicodedata
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from rapidfuzz import fuzz, process

ALIKE = 88
"""Per cent of letters in common from which two questions are nearly alike. «Что такое транзистор» and «Что такое
резистор» have 89: different facts, so that such pairs are named and never removed."""

ALIKE_WORDS = 80
"""The same for long questions, which are compared word by word."""

SHORT = 64
"""Letters that are compared in one machine word; beyond, comparing letters would cost many times as much."""

MOST_QUESTIONS = 20_000
"""Time grows with the square of their number: more are not compared."""

_BLOCK = 256
_SIGNS = "%#*/&@\\·‰§^+=<>~|$€°№"
_MINUS = re.compile(r"(?<![\w)])[-–](?=\d)")


class _Plainly(dict[int, str]):
    """What a character becomes in `plain`, found once for each."""

    def __missing__(self, code: int) -> str:
        sign = chr(code)
        kind = unicodedata.category(sign)
        if sign in _SIGNS:
            self[code] = f" {sign} "
        elif kind == "Cf":  # soft hyphens, zero-width spaces
            self[code] = ""
        else:
            self[code] = " " if kind[0] in "PZC" or kind == "Sk" else sign
        return self[code]


_PLAINLY = _Plainly({ord("ё"): "е", ord("Ё"): "Е", ord("−"): " −"})


def plain(text: str) -> str:
    """`text` without capitals, punctuation, ё and odd spaces: the same for questions that ask the same.

    What makes another thing stays: signs (C, C++ and C#; −5), and capitals inside short words (мОм and МОм, pF and PF).
    Empty only for an empty text.
    """
    joined = unicodedata.normalize("NFC", text).replace("−", "-")
    said = " ".join(_MINUS.sub("−", joined).translate(_PLAINLY).split())
    if said[1:] == said[1:].lower():  # the most: no word has a capital inside
        return said.casefold() or text.strip()
    return " ".join(map(_small, said.split()))


def _small(word: str) -> str:
    is_symbol = len(word) <= 4 and word[1:] != word[1:].lower() and word != word.upper()
    return word if is_symbol else word.casefold()


@dataclass(frozen=True, slots=True)
class Likeness:
    """Pairs of nearly equal questions, by their places: how many, the closest, and every question that is in one."""

    count: int
    closest: tuple[tuple[int, int], ...]
    members: tuple[int, ...]


def nearly_alike(questions: Sequence[str], named: int) -> Likeness:
    """The pairs among distinct questions, as `plain` gives them; the `named` closest by name.

    Questions with different numbers are different, however alike. Memory does not grow with the number of pairs.
    """
    groups: dict[tuple[str, ...], list[int]] = defaultdict(list)
    for place, question in enumerate(questions):
        groups[tuple(re.findall(r"\d+", question))].append(place)
    search = _Search(questions, named)
    for places in filter(lambda places: len(places) > 1, groups.values()):
        search.compare([place for place in places if len(questions[place]) <= SHORT])
        # A pair that crosses the border is compared by words, if it can be alike at all.
        search.compare_words([place for place in places if len(questions[place]) > SHORT * ALIKE // (200 - ALIKE)])
    members = np.flatnonzero(search.in_a_pair).tolist()
    return Likeness(search.count, tuple(pair for _, pair in sorted(search.closest, reverse=True)), tuple(members))


def _in_bytes(texts: list[str]) -> list[str]:
    """The same texts in letters of one byte, where there are few enough: three times as fast to compare."""
    letters = sorted(set().union(*texts))
    if len(letters) > 256:
        return texts
    code = {ord(letter): place for place, letter in enumerate(letters)}
    return [text.translate(code) for text in texts]


class _Search:
    """Compares questions block by block, and keeps only what `Likeness` tells."""

    def __init__(self, questions: Sequence[str], named: int) -> None:
        self._questions = questions
        self._named = named
        self.count = 0
        self.closest: list[tuple[tuple[float, int, int], tuple[int, int]]] = []
        self.in_a_pair = np.zeros(len(questions), dtype=bool)

    def compare(self, places: Sequence[int]) -> None:
        """Letter by letter."""
        self._compare(places, _in_bytes([self._questions[place] for place in places]), ALIKE, 0)

    def compare_words(self, places: Sequence[int]) -> None:
        """Word by word, pairs of short questions left out: each word becomes one letter."""
        letters: dict[str, str] = {}
        spelled = [
            "".join(letters.setdefault(word, chr(0x10000 + len(letters) % 0x100000)) for word in words)
            for words in (self._questions[place].split() for place in places)
        ]
        self._compare(places, spelled, ALIKE_WORDS, SHORT)

    def _compare(self, places: Sequence[int], texts: Sequence[str], least: int, above: int) -> None:
        """above: at least one question of a pair is longer than this."""
        order = sorted(range(len(texts)), key=lambda i: (len(texts[i]), i))
        ordered, where = [texts[i] for i in order], np.array([places[i] for i in order], dtype=np.int64)
        lengths = np.array([len(text) for text in ordered])
        is_long = np.array([len(self._questions[place]) > above for place in where], dtype=bool)
        for start in range(0, len(ordered), _BLOCK):
            end = min(start + _BLOCK, len(ordered))
            # Of a text more than (200 - least) / least times as long, too little can be in common.
            last = int(np.searchsorted(lengths, lengths[end - 1] * (200 - least) / least, side="right"))
            scores = process.cdist(ordered[start:end], ordered[start:last], scorer=fuzz.ratio, score_cutoff=least)
            scores = np.triu(scores, k=1)
            scores[~(is_long[start:end, None] | is_long[None, start:last])] = 0
            self._keep(scores, where[start:end], where[start:last])

    def _keep(self, scores: NDArray[np.float32], rows: NDArray[np.int64], columns: NDArray[np.int64]) -> None:
        found = int(np.count_nonzero(scores))
        if not found:
            return
        self.count += found
        self.in_a_pair[rows[scores.any(axis=1)]] = True
        self.in_a_pair[columns[scores.any(axis=0)]] = True
        flat = scores.ravel()
        alike = np.flatnonzero(flat)
        wanted = min(self._named, found)
        least = np.partition(flat[alike], -wanted)[-wanted]
        closer = alike[flat[alike] > least]
        as_close = alike[flat[alike] == least][: wanted - len(closer)]
        for place in (*closer.tolist(), *as_close.tolist()):
            one, other = sorted((int(rows[place // len(columns)]), int(columns[place % len(columns)])))
            self.closest.append(((float(flat[place]), -one, -other), (one, other)))
        self.closest = heapq.nlargest(self._named, self.closest)
