"""Words of Russian and English: which carry no fact, and which are one word in two forms or spellings.

Nothing here knows what a word means. A text in another language has no light words: every word of it counts.
"""

import re
from functools import lru_cache
from itertools import groupby

# Words that may come, go and change: they carry no fact. Words that turn or narrow a sentence (only, almost, often, or,
# because, before, must) are not here on purpose. "One" is: where it stands for another number, that number is missing.
# The nouns are those that name anything at all.
LIGHT = frozenset(
    """
    и а но да же ли бы то это этот эта эти этого этой этому этом эту этих этим тот та те того той тому том ту
    тех тем он она оно они его ее их ему ей им ею ими него нее них нему ней ним нем ними себя себе свой своя свое свои
    своего своей своих свою который которая которое которые которого которой которому которым котором которую которых
    которыми в во на с со к ко у о об от из по при за для что чтобы как так такой такая такое такие есть быть был была
    было были будет является являются имеет имеют может могут также тоже еще уже ведь вот обычно
    примерно приблизительно около где какой какая какое какие какого зачем почему сколько чем кто конечно ответ очень
    именно просто затем потом сам сама само сами один одна одно одного одной одну деталь детали вещь предмет штука
    a an the and but so that this these those it its they them their he she him her his we us our you your i my
    which who whom whose what where how why is are was were be been being am has have had do does did can may will
    would of in on at to from by with for as into onto during than then also very about roughly approximately around
    usually mostly sure certainly course here there well one ones itself themselves such part thing piece item
    """.split()
)
NEGATIONS = frozenset("не нет ни нельзя без not no never nor neither none nothing without".split())

_ENDINGS = (
    """
    а я о е ы и у ю ь ой ей ом ем ам ям ах ях ами ями ов ев ый ий ая яя ое ее ые ие ого его ому ему ым им ых их ыми ими
    ую юю ью ия ию ии ием иям иях иями ет ит ют ут ят ется ится ются утся ятся л ла ло ли лся лась лось лись ть ться в
    вшись ясь
    """.split(),
    "s es e ed d ing i li ili".split(),  # after y became i
)
_ALIKE = tuple(frozenset(pair) for pair in ("ао", "еи", "cs", "cz", "sz"))  # letters that a slip of spelling mixes up
_CYRILLIC = re.compile(r"[а-яё]", re.IGNORECASE)


@lru_cache(maxsize=100_000)
def akin(one: str, other: str) -> bool:
    """Whether two words are one word in two forms or spellings. Numbers and formulas must be the same."""
    if one == other:
        return True
    if not (one.isalpha() and other.isalpha()):
        return False
    if min(len(one), len(other)) >= 3 and (one.isupper() or other.isupper()):  # УЗО and узо, but not МА and мА
        one, other = one.casefold(), other.casefold()
    return (
        not _stems(one).isdisjoint(_stems(other)) or is_slip(one, other) or one == "по" + other or other == "по" + one
    )


@lru_cache(maxsize=10_000)
def _stems(word: str) -> frozenset[str]:
    """The word, and what is left of it, three letters or more, without each ending that it may have."""
    russian = _CYRILLIC.search(word) is not None
    if not russian:
        word = word.replace("y", "i").replace("z", "s")  # tyre and tire, carry and carries
    cut = (word.removesuffix(ending) for ending in _ENDINGS[0 if russian else 1])
    return frozenset((word, *(stem for stem in cut if len(stem) >= 3)))


def is_slip(one: str, other: str) -> bool:
    """One letter doubled, left out, changed for one that sounds alike, or two neighbours that changed places.

    The first letter must be right: there a slip mostly makes another word.
    """
    short, long = sorted((one, other), key=len)
    if one[0] != other[0] or len(short) < 3 or len(long) - len(short) > 1:
        return False
    if _undoubled(one) == _undoubled(other):
        return True
    if len(short) < 5:
        return False
    if len(short) < len(long):
        return any(long[:place] + long[place + 1 :] == short for place in range(1, len(long)))
    apart = [place for place in range(len(one)) if one[place] != other[place]]
    letters = [frozenset((one[place], other[place])) for place in apart]
    if len(apart) == 1:
        return letters[0] in _ALIKE
    return len(apart) == 2 and apart[1] - apart[0] == 1 and letters[0] == letters[1]


def _undoubled(word: str) -> str:
    return "".join(letter for letter, _ in groupby(word))
