"""The same question in many wordings: what training asks, besides the words of the table.

Four families, named in the settings (`rewording_mix`): `frames` ask for the topic of the question in other words,
`answer` asks from what the answer says, `keywords` put a few telling words together, `noise` drops, shuffles and
misspells. What the exam asks (`heldout_wording`) is in none of them.
"""

import random
from collections.abc import Callable, Sequence
from functools import lru_cache

from znatok.data.likeness import plain
from znatok.data.reword.exact import numbers, upper_first
from znatok.data.reword.heldout import heldout_wording
from znatok.data.reword.keywords import keyword_wording
from znatok.data.reword.language import language_among, language_of, languages_of
from znatok.data.reword.material import Material, in_groups
from znatok.data.reword.nearness import Nearness
from znatok.data.reword.noise import Noise, touched
from znatok.records import Row
from znatok.settings import REWORDING_FAMILIES, RewordingFamily

__all__ = ["Reworder", "heldout_wording", "language_of"]

ATTEMPTS = 6
"""Draws after which the question is asked as it stands: most rows need one or two."""

TOUCHED_SHARE = 1 / 3
"""Share of the other wordings that get a slip, an opening or an aside besides, where `noise` is in the mix. A guess."""

BARE_SHARE = 0.4
"""Share of wordings without a capital and a mark at the end, as people type them. A guess."""

MOST_LETTERS = 100
"""Characters of a question from the answer: people ask in some 65, and each costs tokens in every exposure."""

_ROWS_KEPT = 4096
"""Rows whose material is kept: some 15 KB each. Of a larger table it is made anew when the row comes again."""

_NEVER = -1


class Reworder:
    """Makes training wordings for the rows of one table; it knows which words tell them apart, and what is taken."""

    def __init__(self, rows: Sequence[Row], mix: Sequence[RewordingFamily] = REWORDING_FAMILIES) -> None:
        """mix: the families to draw from; one that is named twice comes twice as often."""
        self._rows = tuple(rows)
        self._mix = tuple(mix)
        self._noise = Noise(" ".join((row.question, *row.paraphrases)) for row in rows)
        self._languages = languages_of(rows)
        self._nearness = Nearness(rows, _normal_form(self._languages))
        self._owner = _owners(rows)
        self._prepared = lru_cache(maxsize=_ROWS_KEPT)(self._prepare)

    def reword(self, place: int, rng: random.Random) -> str:
        """Another wording for the row at `place`, drawn from `rng`. Never empty, and none that asks for another row.

        Where nothing better is found, the question as it stands.
        """
        for _ in range(ATTEMPTS):
            said = self._draw(place, rng.choice(self._mix), rng)
            if said and said.strip() and self._may_be_said(said, place):
                return said
        return self._rows[place].question

    def _draw(self, place: int, family: RewordingFamily, rng: random.Random) -> str | None:
        row = self._rows[place]
        if family == "noise":
            return self._noise.reword(rng.choice((row.question, *row.paraphrases)), rng)
        material, rarity = self._prepared(place)
        match family:
            case "frames":
                said = rng.choice(material.frames) if material.frames else None
            case "answer":
                said = rng.choice(rng.choice(material.told)) if material.told else None
            case _:
                said = keyword_wording(material, rng, rarity)
        if said is None:
            return None
        said = _as_typed(said, rng) if family != "keywords" else said
        is_touched = "noise" in self._mix and rng.random() < TOUCHED_SHARE
        return touched(said, language_of(row.question), rng) if is_touched else said

    def _prepare(self, place: int) -> tuple[Material, tuple[float, ...]]:
        """The material of a row, without what asks for another row; and how rare each of its words is."""
        row = self._rows[place]
        made = [self._material(wording, row.answer) for wording in (row.question, *row.paraphrases)]
        frames = [
            frame
            for wording, one in zip((row.question, *row.paraphrases), made, strict=True)
            for frame in one.frames
            if plain(frame) != plain(wording) and _keeps_numbers(wording, frame) and self._may_be_said(frame, place)
        ]
        told = in_groups([said for said in group if self._is_told(said, place)] for group in made[0].told)
        words = made[0].words
        material = Material(tuple(dict.fromkeys(frames)), told, words, made[0].asks)
        return material, tuple(self._nearness.rarity(word.forms[0]) for word in words)

    def _material(self, question: str, answer: str) -> Material:
        language = language_among(question, self._languages)
        if language == "ru":
            from znatok.data.reword import russian

            return russian.material(question, answer)
        if language == "en":
            from znatok.data.reword import english

            return english.material(question, answer)
        from znatok.data.reword import neutral

        return neutral.material(question, answer)

    def _is_told(self, said: str, place: int) -> bool:
        """Whether a question from the answer is short enough, and can be answered by its row alone."""
        is_short = len(said) <= MOST_LETTERS
        return is_short and self._nearness.is_told(said, place) and self._may_be_said(said, place)

    def _may_be_said(self, said: str, place: int) -> bool:
        """Whether `said` is nobody else's question, nothing that the exam asks, and no nearer to another row."""
        return self._owner.get(plain(said), place) == place and self._nearness.is_nearest(said, place)


def _normal_form(languages: frozenset[str]) -> Callable[[str], str]:
    """What all forms of a word have in common: of a Russian one, its dictionary form."""
    if "ru" not in languages:
        return str
    from znatok.data.reword.russian_forms import normal_form

    return normal_form


def _owners(rows: Sequence[Row]) -> dict[str, int]:
    """Whose every wording of the table is, by its place; none may have what only the exam asks."""
    owners: dict[str, int] = {}
    for place, row in enumerate(rows):
        for wording in (row.question, *row.paraphrases):
            owners.setdefault(plain(wording), place)
    for row in rows:
        for wording in (heldout_wording(row.question, row.number), *row.examined):
            owners[plain(wording)] = _NEVER
    return owners


def _keeps_numbers(question: str, said: str) -> bool:
    """Whether every number of the question that does not stand in its brackets is still there."""
    kept = numbers(said)
    return all(number in kept for number in numbers(question))


def _as_typed(said: str, rng: random.Random) -> str:
    """A frame as a person types it: with a capital and a mark at its end, or without both."""
    if rng.random() < BARE_SHARE:
        return said.rstrip("?.! ") or said
    return upper_first(said) + ("" if said.endswith(("?", ".", "!")) else "?")
