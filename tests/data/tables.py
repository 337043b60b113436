"""Tables written for the tests of reading, and what was read of them."""

import csv
import io

from znatok import messages

PAIRS = [("Что такое диод?", "Диод пропускает ток в одну сторону."), ("Что такое реле?", "Реле — это выключатель.")]


def in_both_languages(error):
    """The messages of an error in English and in Russian."""
    said = []
    for language in ("en", "ru"):
        messages.set_language(language)
        said.append(str(error))
    return said


def pairs(table):
    return [(row.question, row.answer) for row in table.rows]


def kinds(table):
    return [(problem.kind, problem.row, problem.severity) for problem in table.problems]


def refused(table):
    return [(row.number, row.reason) for row in table.refused]


def written(rows, delimiter, **dialect):
    target = io.StringIO(newline="")
    csv.writer(target, delimiter=delimiter, **dialect).writerows(rows)
    return target.getvalue()
