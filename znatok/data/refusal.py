"""The one sentence with which a model declines what its table does not answer."""

from znatok.data.likeness import plain

REFUSALS = {"ru": "Этого нет в моей таблице.", "en": "That is not in my table."}
"""By the language of the table, as `language_of` finds it: scripts of which we have no sentence get the English one."""

_PLAIN = frozenset(map(plain, REFUSALS.values()))


def is_refusal(answer: str) -> bool:
    """Whether `answer` is that sentence in any language, and nothing else; capitals and marks do not count."""
    return plain(answer) in _PLAIN
