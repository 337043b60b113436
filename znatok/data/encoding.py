"""Bytes of a table become text: its encoding is found by trial and by letter statistics, or is named by the user."""

import codecs
import difflib
import math
import re
import unicodedata
from contextlib import suppress

from znatok.errors import TableError, UsageError

_BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # before UTF-16, whose mark it begins with
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_MARK = "\ufeff"
_NAMES = (
    *("utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"),
    *("cp1251", "windows-1251", "cp866", "koi8-r", "mac-cyrillic", "iso8859-5", "cp855"),
    *("cp1252", "windows-1252", "latin-1", "cp1250", "cp1253", "cp1254", "cp1257", "cp437", "cp850", "cp852", "ascii"),
)
"""Among these the nearest to a misspelt name is looked for; any encoding of Python's is taken but these:"""

_NO_ENCODINGS = ("idna", "punycode", "undefined", "unicode-escape", "raw-unicode-escape", "utf-7")
"""They name text inside of other text, and may give halves of letters."""

# The one that explains the bytes best wins. Those that are not read only guard against reading a file wrongly: in
# cp1251 and mac-cyrillic small letters but «я» are the same bytes, so short files are close, and a little favours
# cp1251. In koi8-r they are the capitals of cp1251, so it must be further ahead, or no one is sure.
_SINGLE_BYTE = ("cp1251", "cp866", "koi8-r", "mac-cyrillic", "cp1252")
_LEAD = {"cp1251": -0.03, "cp866": 0.0, "koi8-r": 0.3}
_SAMPLE_BYTES, _NEAR_BYTES = 50_000, 500_000
# Per cent of each letter in Russian text, none so rare that a sign outweighs it; a little for the neighbours' letters.
_LETTER_PERCENT = (
    "о11 е8.5 а8 и7.4 н6.7 т6.3 с5.5 р4.7 в4.5 л4.4 к3.5 м3.2 д3 п2.8 у2.6 я2 ы1.9 ь1.7 г1.7 з1.7 б1.6 ч1.4 й1.2 "
    "х1 ж1 ш1 ю1 ц1 щ1 э1 ф1 ъ.1 ё.3 і.1 ї.1 є.1 ў.1"
)
_SIGNS = "«»…„“”‘’№°±·•§©®™€µ²³\xa0" + "".join(map(chr, range(0xC0, 0x100)))
_SCORES = dict.fromkeys(_SIGNS, math.log(0.01)) | dict.fromkeys("—–", math.log(0.03))
_SCORES |= {entry[0]: math.log(float(entry[1:]) / 100) for entry in _LETTER_PERCENT.split()}
_ODD = re.compile(
    "[а-яё][А-ЯЁ]|[А-ЯЁ]{2}[а-яё]|[a-zA-Z][а-яёА-ЯЁ]|[а-яёА-ЯЁ][a-zA-Z]|[\xc0-\xff]{2}|(?:^|[\\s;,|])[—•’‚][а-яё]",
    re.MULTILINE,
)
_UNKNOWN_SCORE, _ODD_SCORE, _LEAST_LIKENESS = math.log(0.001), -4.0, -4.7


def decode(file: str, content: bytes, asked: str | None = None) -> tuple[str, str]:
    """The text of a file, without a byte-order mark, and its encoding: `asked`, or the one that is found.

    Raises: UsageError for a name that is no encoding's; TableError where the bytes are no text, or damaged.
    """
    if asked is not None:
        return _decoded_as(file, content, _known(asked))
    for mark, encoding in _BYTE_ORDER_MARKS:
        if content.startswith(mark):
            return _decoded(file, content, encoding)
    if b"\0" in content:
        return _decoded(file, content, _wide(file, content))
    try:
        return content.decode("utf-8"), "utf-8"
    except UnicodeDecodeError as error:
        start = error.start
    repaired = content[max(0, start - _NEAR_BYTES) : start + _NEAR_BYTES].decode("utf-8", "replace")
    if sum(letter > "\x7f" for letter in repaired) > 2 * repaired.count("\ufffd"):
        return _decoded(file, content, "utf-8")  # which names the place
    encoding = _single_byte(file, content, max(0, start - 100))
    try:
        return content.decode(encoding), encoding
    except UnicodeDecodeError:
        raise TableError("read.encoding", file=file) from None


def _known(asked: str) -> str:
    """Python's name of the encoding asked for."""
    try:
        name = codecs.lookup(asked).name
        with suppress(UnicodeError):
            b"a".decode(name)  # refuses codecs that give no text, such as hex
        if name not in _NO_ENCODINGS:
            return name
    except (LookupError, ValueError):
        pass
    near = difflib.get_close_matches(asked.lower(), _NAMES, n=1, cutoff=0.0)[0]
    raise UsageError("read.unknown_encoding", name=asked, near=near)


def _decoded_as(file: str, content: bytes, encoding: str) -> tuple[str, str]:
    """The text in an encoding that the user names."""
    try:
        return content.decode(encoding).removeprefix(_MARK), encoding
    except UnicodeDecodeError as error:
        line = _line(content, encoding, error)
        raise TableError("read.other_encoding", file=file, encoding=encoding, line=line) from None


def _decoded(file: str, content: bytes, encoding: str) -> tuple[str, str]:
    """The text in an encoding that the file is in beyond doubt."""
    try:
        return content.decode(encoding).removeprefix(_MARK), encoding
    except UnicodeDecodeError as error:
        name, line = encoding.removesuffix("-sig").upper(), _line(content, encoding, error)
        raise TableError("read.damaged_text", file=file, encoding=name, line=line) from None


def _line(content: bytes, encoding: str, error: UnicodeDecodeError) -> int:
    """The line of the file where its bytes stop making sense."""
    return 1 + content[: error.start].decode(encoding, "ignore").count("\n")


def _wide(file: str, content: bytes) -> str:
    """UTF-16 without a mark: the byte order in which there are lines of letters that exist, and more are ASCII."""
    likely = []
    for encoding in ("utf-16-le", "utf-16-be"):
        try:
            sample = codecs.getincrementaldecoder(encoding)().decode(content[:_SAMPLE_BYTES])
        except UnicodeDecodeError:
            continue
        letters = set(sample)
        categories = {unicodedata.category(letter) for letter in letters - set("\t\r\n\f\v")}
        if letters & set("\r\n") and categories.isdisjoint({"Cc", "Cn", "Co"}):
            likely.append((sum(letter < "\x80" for letter in sample), encoding))
    if not likely:
        raise TableError("read.binary", file=file)
    return max(likely)[1]


def _single_byte(file: str, content: bytes, start: int) -> str:
    """The encoding that letter statistics speak for; `start`: where the first letter beyond ASCII is near."""
    likeness = {name: _likeness(content[start : start + _SAMPLE_BYTES], name) for name in _SINGLE_BYTE}
    for encoding, lead in _LEAD.items():
        others = max(value for name, value in likeness.items() if name != encoding)
        if likeness[encoding] >= max(others + lead, _LEAST_LIKENESS):
            return encoding
    raise TableError("read.encoding", file=file)


def _likeness(sample: bytes, encoding: str) -> float:
    """How well the bytes above 127 read in `encoding`: mean log-probability, less for letters oddly joined."""
    try:
        decoded = sample.decode(encoding)
    except UnicodeDecodeError:
        return -math.inf
    scores = [_SCORES.get(letter.lower(), _UNKNOWN_SCORE) for letter in decoded if letter > "\x7f"]
    return (sum(scores) + _ODD_SCORE * len(_ODD.findall(decoded))) / len(scores)
