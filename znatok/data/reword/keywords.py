"""A few telling words of a row with a question word, as people type into a search box."""

import random
from collections.abc import Sequence

from znatok.data.reword.exact import has_number
from znatok.data.reword.material import Material, Word

_COUNTS = (2, 3, 3, 4, 4, 5)
AS_WRITTEN = 0.4
"""Share of words that stay in the form in which the row has them."""


def keyword_wording(material: Material, rng: random.Random, rarity: Sequence[float]) -> str | None:
    """Two to five telling words, most from the answer; None where the row has too few.

    rarity: of each word, how much it tells rows apart; one of the rarer ones is always there. Numbers of the question
    are all kept, since another number is another question.
    """
    words = material.words
    if len(words) < 2:
        return None
    kept = [place for place, word in enumerate(words) if word.is_asked and has_number(word.forms[0])]
    count = min(len(words), rng.choice(_COUNTS))
    by_rarity = sorted(range(len(words)), key=lambda place: -rarity[place])
    chosen = [rng.choice(by_rarity[: max(2, len(words) // 3)])]
    # Words of the answer are what other people know the row by; its own question is trained as it stands, too.
    told = [place for place, word in enumerate(words) if not word.is_asked]
    pool = told if len(told) > count and rng.random() < 0.6 else list(range(len(words)))
    pool = [place for place in pool if place not in chosen]
    chosen += rng.sample(pool, min(len(pool), count - 1))
    places = list(dict.fromkeys([*kept, *chosen]))
    if rng.random() < 0.6:
        places.sort(key=lambda place: (words[place].is_asked is False, place))
    else:
        rng.shuffle(places)
    said = " ".join(_form(words[place], rng) for place in places)
    if not material.asks or rng.random() < 0.3:
        return said
    ask = rng.choice(material.asks)
    return rng.choice((f"{ask} {said}", f"{ask}: {said}", f"{said} {ask}", f"{said}, {ask}", f"{said} — {ask}"))


def _form(word: Word, rng: random.Random) -> str:
    if len(word.forms) == 1 or rng.random() < AS_WRITTEN:
        return word.forms[0]
    return rng.choice(word.forms[1:])
