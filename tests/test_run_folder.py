"""Run folders: named after the table, found again, written whole or not at all."""

import errno
import os

import pytest

from znatok import run_folder
from znatok.errors import RunError
from znatok.records import Row
from znatok.run_folder import (
    RunFolder,
    append_line,
    discard,
    find_run,
    new_run,
    read_lines,
    read_rows,
    whole_folder,
    write_json,
    write_lines,
    write_text,
)


@pytest.fixture(autouse=True)
def working_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def finished(path, seconds):
    path.mkdir(parents=True)
    write_json(path / "plan.json", {})
    write_json(path / "exam.json", {})
    os.utime(path / "exam.json", (seconds, seconds))
    return path


def test_runs_of_one_table_are_numbered_from_2(working_folder):
    names = [new_run(None, working_folder / "plants.csv").path.name for _ in range(3)]
    assert names == ["plants", "plants-2", "plants-3"]
    assert all((working_folder / "runs" / name).is_dir() for name in names)


@pytest.mark.parametrize(
    ("table", "name"),
    [
        ("Вопросы и ответы.xlsx", "Вопросы_и_ответы"),
        ("a:b*?<c>|\"d'.csv", "a_b_c_d"),
        ("..hidden..csv", "hidden"),
        ("???.csv", "run"),
        ("v1.2-final.csv", "v1.2-final"),
    ],
)
def test_the_name_keeps_letters_and_loses_what_a_file_system_may_refuse(working_folder, table, name):
    assert new_run(None, working_folder / table).path.name == name


def test_the_folder_asked_for_is_made_with_its_parents_or_taken_empty(working_folder):
    asked = working_folder / "there" / "deep"
    assert new_run(asked, working_folder / "t.csv").path == asked
    assert asked.is_dir()
    assert new_run(asked, working_folder / "t.csv").path == asked


@pytest.mark.parametrize("taken", ["a folder with something in it", "a file"])
def test_the_folder_asked_for_is_never_written_over(working_folder, taken):
    asked = working_folder / "asked"
    if taken == "a file":
        asked.write_text("mine")
    else:
        asked.mkdir()
        (asked / "mine.txt").write_text("mine")
    with pytest.raises(RunError) as error:
        new_run(asked, working_folder / "t.csv")
    assert error.value.key == "run.not_empty"
    assert str(asked) in str(error.value)


def test_a_place_that_cannot_be_written_is_explained(working_folder):
    (working_folder / "file").write_text("")
    with pytest.raises(RunError) as error:
        new_run(working_folder / "file" / "run", working_folder / "t.csv")
    assert error.value.key == "run.cannot_write"


def test_without_a_name_the_newest_finished_run_is_found(working_folder):
    runs = working_folder / "runs"
    finished(runs / "old", 1_000)
    newest = finished(runs / "newest", 3_000)
    finished(runs / "older", 2_000)
    (runs / "unfinished").mkdir()
    write_json(runs / "unfinished" / "plan.json", {})
    (runs / "notes.txt").write_text("a file among the runs")
    assert find_run(None).path.resolve() == newest


def test_a_run_is_found_by_its_folder_or_its_adapter_finished_or_not(working_folder):
    run = working_folder / "elsewhere"
    (run / "adapter").mkdir(parents=True)
    write_json(run / "plan.json", {})
    assert find_run(run).path == run
    assert find_run(run / "adapter").path == run
    assert not find_run(run).is_finished


@pytest.mark.parametrize(
    ("asked", "key"), [(None, "run.none_yet"), ("absent", "run.missing"), ("strange", "run.not_ours")]
)
def test_what_is_no_run_is_named_with_the_reason(working_folder, asked, key):
    (working_folder / "strange").mkdir()
    with pytest.raises(RunError) as error:
        find_run(asked and working_folder / asked)
    assert error.value.key == key
    assert (asked or "runs") in str(error.value)


def test_what_is_written_is_read_back_and_nothing_else_is_left(working_folder):
    run = RunFolder(working_folder)
    write_json(run.plan, {"модель": "builtin", "шаги": [1, 2]})
    write_lines(run.rows, [{"row": 1, "question": "Что такое\nдиод?"}, {"row": 2}])
    append_line(run.rows, {"row": 3})
    assert "модель" in run.plan.read_text(encoding="utf-8")
    assert [record["row"] for record in read_lines(run.rows)] == [1, 2, 3]
    assert next(read_lines(run.rows))["question"] == "Что такое\nдиод?"
    assert sorted(path.name for path in working_folder.iterdir()) == ["plan.json", "rows.jsonl"]


@pytest.mark.parametrize("fails_at", ["encoding", "renaming", "being interrupted"])
def test_a_write_that_fails_keeps_the_old_file_and_leaves_nothing_behind(working_folder, monkeypatch, fails_at):
    file = working_folder / "plan.json"
    write_text(file, "old")
    words, expected = "new", OSError
    if fails_at == "encoding":
        words, expected = "\ud800", UnicodeEncodeError
    else:
        expected = KeyboardInterrupt if fails_at == "being interrupted" else OSError

        def fail(*_):
            raise expected

        monkeypatch.setattr(run_folder.os, "replace", fail)
    with pytest.raises(expected):
        write_text(file, words)
    assert file.read_text() == "old"
    assert [path.name for path in working_folder.iterdir()] == ["plan.json"]


def fill(folder, error=None):
    with whole_folder(folder) as beside:
        (beside / "weights").write_text("new")
        if error:
            raise error


def left_in(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def test_a_folder_is_filled_whole_or_not_at_all(working_folder):
    (working_folder / ".adapter.unfinished").mkdir()  # of a process that was killed
    (working_folder / ".adapter.unfinished" / "half").write_text("")
    with pytest.raises(OSError, match=r"No space left on device: '.*adapter'"):
        fill(working_folder / "adapter", OSError(errno.ENOSPC, "No space left on device"))
    assert left_in(working_folder) == []
    fill(working_folder / "adapter")
    assert left_in(working_folder) == ["adapter", "adapter/weights"]


def test_a_folder_that_is_there_gets_the_new_files(working_folder):
    (working_folder / "adapter").mkdir()
    (working_folder / "adapter" / "weights").write_text("old")
    fill(working_folder / "adapter")
    assert (working_folder / "adapter" / "weights").read_text() == "new"
    assert left_in(working_folder) == ["adapter", "adapter/weights"]


def test_a_line_that_does_not_fit_leaves_no_half_of_it(working_folder):
    resource = pytest.importorskip("resource", reason="this system has no limits on the size of files")
    file = working_folder / "metrics.jsonl"
    append_line(file, {"step": 1})
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (file.stat().st_size + 5, limits[1]))
    try:
        with pytest.raises(OSError, match=r"metrics\.jsonl"):
            append_line(file, {"step": 2})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert list(read_lines(file)) == [{"step": 1}]


def test_a_damaged_line_is_named(working_folder):
    (working_folder / "rows.jsonl").write_text('{"row": 1}\n{"row":\n')
    with pytest.raises(RunError) as error:
        list(read_lines(working_folder / "rows.jsonl"))
    assert (error.value.key, error.value.values["line"]) == ("run.damaged", 2)


def test_rows_are_read_back_by_their_use_with_their_paraphrases(working_folder):
    run = RunFolder(working_folder)
    said = [{"wording": word, "use": use} for word, use in (("a", "trained"), ("b", "examined"), ("c", "left"))]
    told = {"question": "Q?", "answer": "A."}
    write_lines(
        run.rows,
        [
            {"row": 1, **told, "use": "trained", "paraphrases": said},
            {"row": 2, **told, "use": "trained"},
            {"row": 3, **told, "use": "heldout", "paraphrases": said[2:]},
            {"row": 4, **told, "use": "refused", "reason": "duplicate"},
            {"row": 4, "use": "problem", "kind": "duplicate", "severity": "warning", "message": "twice", "also": []},
        ],
    )
    assert read_rows(run, "trained") == (Row(1, "Q?", "A.", ("a",), ("b",)), Row(2, "Q?", "A."))
    assert read_rows(run, "heldout") == (Row(3, "Q?", "A.", ("c",)),)
    assert read_rows(run, "left") == ()


def test_a_run_that_came_to_nothing_goes_with_the_folder_of_runs_if_that_is_empty(working_folder):
    first, second = (new_run(None, working_folder / "plants.csv") for _ in range(2))
    discard(first)
    assert [path.name for path in (working_folder / "runs").iterdir()] == ["plants-2"]
    discard(second)
    assert list(working_folder.iterdir()) == []
