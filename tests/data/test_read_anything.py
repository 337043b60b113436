"""Any table is read back as it was written, and any bytes are read or refused."""

import csv
import json

from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from tests.data.tables import pairs, written
from znatok.data.read import read_table
from znatok.errors import ZnatokError
from znatok.settings import Reading

SIGNS = st.text(alphabet=" ,;\t|\"'\n.?!«»—0123456789", max_size=6)
WORDS = st.sampled_from(["резистор", "ограничивает", "ток", "лампа", "если", "который", "цепь", "Вольт", "Закон"])
RUSSIAN = st.lists(st.tuples(WORDS, SIGNS), min_size=1, max_size=6).map(lambda parts: " ".join(w + s for w, s in parts))
ANYTHING = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1).filter(str.strip)
DELIMITERS = st.sampled_from([",", ";", "\t", "|"])
ENCODINGS = st.sampled_from(["utf-8", "utf-8-sig", "utf-16"])
BACKSLASHES = {"doublequote": False, "escapechar": "\\"}
DIALECTS = st.sampled_from([{}, {"quotechar": "'"}, BACKSLASHES, BACKSLASHES | {"quotechar": "'"}])


def tables(cells):
    return st.lists(st.tuples(cells, cells), min_size=2, max_size=6, unique_by=lambda pair: pair[0].strip())


def old(encoding, replaced=""):
    """Tables in an encoding that lacks some signs."""
    plain = RUSSIAN.map(lambda cell: cell.translate(dict.fromkeys(map(ord, replaced), "-")))
    return st.tuples(st.just(encoding), tables(plain))


OLD = st.one_of(old("cp1251"), old("cp866", "«»—"), old("utf-16-le"), old("utf-16-be"))


def is_read_back(folder, encoding, rows, delimiter, **dialect):
    path = folder.getbasetemp() / "any.csv"
    path.write_bytes(written([("question", "answer"), *rows], delimiter, **dialect).encode(encoding))
    table = read_table(path)
    assert pairs(table) == [(question.strip(), answer.strip()) for question, answer in rows]
    assert (table.encoding, table.delimiter, table.problems) == (encoding, delimiter, ())


@settings(max_examples=60, deadline=None)
@given(case=st.one_of(st.tuples(ENCODINGS, tables(ANYTHING)), OLD), delimiter=DELIMITERS)
def test_any_table_is_read_back_as_it_was_written(tmp_path_factory, case, delimiter):
    is_read_back(tmp_path_factory, *case, delimiter)


@settings(max_examples=60, deadline=None)
@given(case=st.one_of(st.tuples(ENCODINGS, tables(ANYTHING)), OLD), delimiter=DELIMITERS, dialect=DIALECTS)
def test_any_table_in_quotes_is_read_back_whatever_the_quotes(tmp_path_factory, case, delimiter, dialect):
    text = "".join(map("".join, case[1]))
    # Two backslashes are one only where quotes are written with a backslash, too: else nothing speaks for it.
    assume("\\" not in text or dialect.get("quotechar", '"') in text or "escapechar" not in dialect)
    is_read_back(tmp_path_factory, *case, delimiter, quoting=csv.QUOTE_ALL, **dialect)


@settings(max_examples=60, deadline=None)
@given(rows=tables(ANYTHING), encoding=ENCODINGS, is_ascii=st.booleans())
def test_any_records_are_read_back_as_they_were_written(tmp_path_factory, rows, encoding, is_ascii):
    path = tmp_path_factory.getbasetemp() / "any.jsonl"
    records = [{"question": question, "answer": answer} for question, answer in rows]
    path.write_bytes("\n".join(json.dumps(one, ensure_ascii=is_ascii) for one in records).encode(encoding))
    assert pairs(read_table(path)) == [(question.strip(), answer.strip()) for question, answer in rows]


WORDS_OF_FORMATS = ["question", "answer", "вопрос", "sep=", "<html>", "PK\3\4", ',;\t|\n\r?"', "'\\", '{"', '":', "[]"]
IN_BYTES = [word.encode(encoding) for word in WORDS_OF_FORMATS for encoding in ("utf-8", "cp1251", "utf-16")]
SINGLE = [bytes([byte]) for byte in b",;\t|\n\r\"'\\{}[]:\0"]
PIECES = st.one_of(st.sampled_from(IN_BYTES), st.sampled_from(SINGLE), st.binary(max_size=3))
BYTES = st.one_of(st.binary(max_size=200), st.lists(PIECES, max_size=60).map(b"".join))
ASKED = {
    "encoding": st.sampled_from(["cp1251", "utf-8", "utf-16", "shift_jis", "no such"]),
    "delimiter": DELIMITERS,
    "question_column": st.sampled_from(["question", "1", "2"]),
}


@settings(max_examples=150, deadline=None)
@given(content=BYTES, name=st.sampled_from(["any.csv", "any.jsonl"]), asked=st.fixed_dictionaries({}, optional=ASKED))
@example(content=b"\xef\xbb\xbf", name="any.csv", asked={})
@example(content=b'[{"question": "\\ud800"}, {"\\udfff": 1}]', name="any.jsonl", asked={})
def test_any_bytes_are_read_or_refused(tmp_path_factory, content, name, asked):
    path = tmp_path_factory.getbasetemp() / name
    path.write_bytes(content)
    try:
        table = read_table(path, Reading(**asked))
    except ZnatokError:
        return
    numbers = {row.number for row in (*table.rows, *table.refused)}
    assert len(numbers) == table.read >= 2
