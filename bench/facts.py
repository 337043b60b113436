"""Made-up facts to learn, as many as are asked for: how much a model holds is a question of their number alone.

    python -m bench.facts 1000 [--lang ru|en] [--seed 0] > facts.csv

Things that exist nowhere (villages, ships, bridges) have numbers and people of their own, and three rows ask for them.
A fact is said of its thing only, so that no row contradicts another; the things' names differ by two letters at least,
so that no slip of a finger makes one of another. The first rows of a longer table are the shorter table: a curve over
sizes asks the same facts again. The sentences stand in `facts.toml`.
"""

import argparse
import csv
import io
import random
import sys
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import islice
from pathlib import Path
from typing import Any

LANGUAGES = ("ru", "en")
_SENTENCES = Path(__file__).with_name("facts.toml")

_STEMS = """
Al Ar Bal Bar Ber Bor Dal Dan Dar Dol El Er Fal Fer Gal Gar Gor Gra Hal Hel Il Ir Kal Kar Kel Kor Lan Lar Lem Lin Lor
Mal Mar Mel Mer Mir Mor Nal Nar Nel Nor Ol Or Pal Par Pel Per Ral Ram Rol San Sel Ser Sor Tal Tar Ter Tor Val Vel
""".split()
_MIDDLES = [consonant + vowel for consonant in "bdfgklmnprstvzh" for vowel in "aeio"]
_ENDS = [consonant + end for consonant in "bdfgklmnprstvzh" for end in ("an", "er", "in", "os")]
_CYRILLIC = str.maketrans("abdefghiklmnoprstvzABDEFGHIKLMNOPRSTVZ", "абдефгхиклмнопрствзАБДЕФГХИКЛМНОПРСТВЗ")

FACTS_OF_A_THING = 3
MOST = FACTS_OF_A_THING * len(_STEMS) * len(_MIDDLES)
"""Rows for which there are names."""


@dataclass(frozen=True, slots=True)
class Fact:
    question: str
    answer: str


def main() -> None:
    asked = parse(sys.argv[1:])
    if isinstance(sys.stdout, io.TextIOWrapper):  # a table is UTF-8 wherever it is written
        sys.stdout.reconfigure(encoding="utf-8", newline="\n")
    table = csv.writer(sys.stdout, lineterminator="\n")
    table.writerow(("question", "answer"))
    table.writerows((fact.question, fact.answer) for fact in islice(facts(asked.lang, asked.seed), asked.count))


def parse(words: Sequence[str]) -> argparse.Namespace:
    """The flags, checked."""
    parser = argparse.ArgumentParser(prog="python -m bench.facts", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("count", type=_count, help=f"rows, at most {MOST}")
    parser.add_argument("--lang", choices=LANGUAGES, default="ru")
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args(words)


def _count(word: str) -> int:
    if not word.isdecimal() or not 1 <= int(word) <= MOST:
        raise argparse.ArgumentTypeError(f"{word} is not a whole number from 1 to {MOST}")
    return int(word)


def facts(language: str, seed: int = 0) -> Iterator[Fact]:
    """`MOST` facts, always the same ones for a seed, and the rows of one thing behind one another."""
    rng = random.Random(seed)
    kinds, words = _sentences()[language]["kinds"], _sentences()[language]["words"]
    for place, name in enumerate(_names(language, rng)):
        values = {"name": name} | _values(words, rng)
        for forms in kinds[place % len(kinds)]["facts"]:
            yield Fact(rng.choice(forms["questions"]).format_map(values), forms["answer"].format_map(values))


@cache
def _sentences() -> dict[str, Any]:
    return tomllib.loads(_SENTENCES.read_text(encoding="utf-8"))


def _names(language: str, rng: random.Random) -> Iterator[str]:
    """All names. The last of the three parts follows from the others, so any two names differ in two parts."""
    size = len(_STEMS)
    assert size == len(_MIDDLES) == len(_ENDS)
    for place in rng.sample(range(size * size), size * size):
        stem, middle = divmod(place, size)
        name = _STEMS[stem] + _MIDDLES[middle] + _ENDS[(stem + middle) % size]
        yield name.translate(_CYRILLIC) if language == "ru" else name


def _values(words: dict[str, list[str]], rng: random.Random) -> dict[str, object]:
    """What the sentences of one thing may say: every number twice, so that two of them need not be the same."""
    return {
        **{name: rng.choice(choices) for name, choices in words.items()},
        "person": f"{rng.choice(words['first'])} {rng.choice(words['last'])}",
        "helper": f"{rng.choice(words['first'])} {rng.choice(words['last'])}",
        "year": rng.randrange(1720, 1960),
        "few": _many(rng, 5, 98),
        "some": _many(rng, 5, 98),
        "dozens": _many(rng, 105, 990),
        "hundreds": _many(rng, 105, 990),
        "thousands": _many(rng, 1_005, 9_990),
    }


def _many(rng: random.Random, low: int, high: int) -> int:
    """A number that Russian counts in the genitive plural («5 арок», never «1 арка» or «2 арки»)."""
    while True:
        number = rng.randrange(low, high)
        if number % 10 in (0, 5, 6, 7, 8, 9):
            return number


if __name__ == "__main__":
    main()
