"""The bench of plain search counts what it says it counts."""

import json
import sys

import pytest

from bench import search

TABLE = """question,answer
Что такое диод?,Вентиль для тока.
Что такое реле?,Ключ с катушкой.
Что такое шунт?,Малое сопротивление.
"""
WORDINGS = "question,answer\nвентиль,Вентиль для тока.\nключ катушки,Ключ с катушкой.\nреле,Малое сопротивление.\n"


@pytest.fixture
def table(tmp_path):
    (tmp_path / "parts.csv").write_text(TABLE, encoding="utf-8")
    (tmp_path / "parts_wordings.csv").write_text(WORDINGS, encoding="utf-8")
    (tmp_path / "parts_unknown_near.csv").write_text("question\nФарфор\n", encoding="utf-8")
    return tmp_path / "parts.csv"


def test_a_wording_counts_where_its_row_stands(table):
    figures = search.examined(table)
    assert (figures["wordings"], figures["places"][:2], figures["reworded_first"]) == (3, [1, 1], 1.0)
    assert figures["places"][2] in (2, 3, None)
    assert figures["first"] == pytest.approx(2 / 3, abs=1e-3)
    assert figures["near"] == 1.0  # no run of «Фарфор» is in the table


def test_a_question_counts_as_whole_where_all_words_of_the_row_are_asked(table):
    (table.parent / "parts_unknown_near.csv").write_text("question\nЧто такое диод?\nФарфор\n", encoding="utf-8")
    # «вентиль» and «реле» are nothing but words of the row found, the latter of another row than it was written for.
    assert search.examined(table)["whole"] == {"wordings": 1.0, "right": 0.667, "near": 0.5, "reworded": 1.0}


def test_without_questions_that_no_row_answers_nothing_is_said_of_them(table):
    (table.parent / "parts_unknown_near.csv").unlink()
    assert search.examined(table)["near"] is None


def test_two_states_are_compared_wording_by_wording():
    ours = {"one": {"places": [1, 1, 4, None]}, "new": {"places": [1]}}
    compared = search.compared(ours, {"one": {"places": [1, 2, 1, 11]}})
    assert compared["first"] == {"only_here": 1, "only_there": 1, "p": 1.0}
    assert compared["among_three"] == {"only_here": 0, "only_there": 1, "p": 1.0}
    assert compared["among_ten"] == {"only_here": 0, "only_there": 0, "p": 1.0}


def test_the_command_prints_one_object_and_reads_its_own_output(table, tmp_path, monkeypatch, capsys):
    arguments = ["search", "--tables", str(table), "--rows", "50", "--json"]
    monkeypatch.setattr(sys, "argv", arguments)
    search.main()
    printed = capsys.readouterr().out
    (tmp_path / "before.json").write_text(printed, encoding="utf-8")
    assert json.loads(printed)["speed"]["rows"] == 50
    monkeypatch.setattr(sys, "argv", [*arguments, "--against", str(tmp_path / "before.json")])
    search.main()
    assert json.loads(capsys.readouterr().out)["against"]["first"] == {"only_here": 0, "only_there": 0, "p": 1.0}


def test_a_table_without_wordings_is_refused_with_the_file_that_is_missing(table, monkeypatch, capsys):
    (table.parent / "parts_wordings.csv").unlink()
    monkeypatch.setattr(sys, "argv", ["search", "--tables", str(table)])
    with pytest.raises(SystemExit):
        search.main()
    assert "parts_wordings.csv" in capsys.readouterr().err
