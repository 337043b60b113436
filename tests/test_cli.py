import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.data.workbooks import xlsx
from tests.tiny import tiny_folder
from znatok import cli, messages
from znatok.model.source import BaseSource

ROOT = Path(__file__).parent.parent


def run(*arguments, capsys):
    code = cli.run(arguments)
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_help_imports_neither_torch_nor_transformers():
    script = (
        "import sys; from znatok import cli\n"
        "try: cli.main(['--help'])\n"
        "except SystemExit: pass\n"
        "print(sorted({'torch', 'transformers', 'peft', 'pydantic', 'matplotlib'} & set(sys.modules)), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, encoding="utf-8", check=True)
    assert "train" in done.stdout
    assert done.stderr.strip() == "[]"


def test_an_unknown_command_names_the_nearest_one(capsys):
    assert run("trian", "--lang", "en", capsys=capsys) == (
        2,
        "",
        "There is no command trian. Did you mean train? Help: znatok --help.\n",
    )


def test_an_unknown_flag_names_the_nearest_one(capsys):
    code, out, err = run("train", "x.csv", "--learning-rat", "1e-3", "--lang", "en", capsys=capsys)
    assert (code, out) == (2, "")
    assert "--learning-rate" in err


def test_flags_are_taken_with_underscores_and_with_hyphens(capsys, tmp_path):
    table = tmp_path / "none.csv"
    for flag in ("--num_rows", "--num-rows"):
        code, _, err = run("train", "--csv_file", str(table), flag, "5", "--lang", "en", capsys=capsys)
        assert code == 1
        assert "there is no such file" in err


def test_an_impossible_value_is_wrong_usage(capsys):
    code, _, err = run("train", "x.csv", "--r", "0", "--lang", "en", capsys=capsys)
    assert code == 2
    assert err == "--r: the value 0 does not fit. It takes a whole number not below 1 and not above 1024.\n"


def test_a_family_of_wordings_that_is_none_is_answered_with_the_nearest(capsys, tmp_path):
    message = ": the value frame does not fit. Did you mean frames? It takes one of: frames, answer, keywords, noise.\n"
    code, _, err = run("train", "x.csv", "--rewording-mix", "frame", "--lang", "en", capsys=capsys)
    assert (code, err) == (2, "--rewording-mix" + message)
    config = tmp_path / "s.toml"
    config.write_text('rewording_mix = ["noise", "frame"]', encoding="utf-8")
    code, _, err = run("train", "x.csv", "--config", str(config), "--lang", "en", capsys=capsys)
    assert (code, err) == (2, f"{config}, rewording_mix" + message)


def test_check_prints_one_json_object_and_talks_to_stderr(capsys, tmp_path):
    table = tmp_path / "т.csv"
    table.write_text("вопрос;ответ\nЧто это?;Стол.\nА это?;\nЧто там?;Дом.\n", encoding="cp1251")
    code, out, err = run("check", str(table), "--json", "--lang", "ru", capsys=capsys)
    found = json.loads(out)
    assert code == 1
    assert (found["rows"], found["encoding"], found["delimiter"]) == (2, "cp1251", ";")
    assert [(problem["row"], problem["kind"]) for problem in found["problems"]] == [(2, "empty_answer")]
    assert "строк 2" in err


def test_check_counts_every_row_that_was_read(capsys, tmp_path, monkeypatch):
    monkeypatch.setenv("ZNATOK_CACHE", str(tmp_path / "cache"))
    table = tmp_path / "t.csv"
    table.write_text("question,answer\nA?,b\nC?,\nA?,b\nD?,e\n", encoding="utf-8")
    found = json.loads(run("check", str(table), "--json", "--lang", "en", capsys=capsys)[1])
    assert (found["read"], found["rows"], found["refused"]) == (4, 2, 2)
    assert {one["row"]: one["kind"] for one in found["problems"]} == {2: "empty_answer", 3: "duplicate"}
    assert (found["encoding"], found["delimiter"], found["sheet"]) == ("utf-8", ",", None)


def test_check_of_a_workbook_takes_a_sheet_and_columns_by_name_and_by_number(capsys, tmp_path, monkeypatch):
    monkeypatch.setenv("ZNATOK_CACHE", str(tmp_path / "cache"))
    table = tmp_path / "t.xlsx"
    rows = [("term", "topic", "meaning"), ("relay", "parts", "A switch."), ("amp", "units", "A unit.")]
    table.write_bytes(xlsx([("a", "b")], rows))
    flags = ("--sheet", "2", "--question-column", "term", "--answer_column", "3", "--json", "--lang", "en")
    code, out, _ = run("check", str(table), *flags, capsys=capsys)
    found = json.loads(out)
    assert (code, found["rows"], found["sheet"]) == (0, 2, "Лист2")
    assert (found["encoding"], found["delimiter"]) == (None, None)
    assert (found["question_column"], found["answer_column"]) == ("term", "meaning")


def test_reading_settings_are_toml_keys_too(tmp_path):
    from znatok.settings import make_settings, read_settings

    config = tmp_path / "my.toml"
    config.write_text('encoding = "cp866"\nsheet = 2\nquestion_column = 3\nanswer-column = "meaning"\n')
    settings = make_settings(read_settings(config))
    assert (settings.encoding, settings.sheet) == ("cp866", "2")
    assert (settings.question_column, settings.answer_column) == ("3", "meaning")


def test_check_of_a_good_table_is_done(capsys, tmp_path):
    code, out, _ = run("check", str(ROOT / "dataset.csv"), "--lang", "ru", capsys=capsys)
    assert code == 0
    assert "строк 125" in out


def test_a_config_file_with_an_unknown_key_names_the_nearest_setting(capsys, tmp_path):
    config = tmp_path / "my.toml"
    config.write_text("lora_alfa = 8\n", encoding="utf-8")
    code, _, err = run("train", "x.csv", "--config", str(config), "--lang", "en", capsys=capsys)
    assert (code, err) == (2, f"{config}, lora_alfa: there is no such setting. Did you mean lora_alpha?\n")


def test_every_setting_has_its_words():
    from znatok.settings import Settings

    for language in messages.LANGUAGES:
        assert {f"settings.{name}" for name in Settings.model_fields} <= set(messages.catalogue(language))


@pytest.fixture
def table(tmp_path):
    path = tmp_path / "т.csv"
    path.write_text("вопрос;ответ\nПочём ухаб?;Дорого.\nпочём ухаб;Дёшево.\nГде щавель?;Жди вьюги.\n", encoding="utf-8")
    return path


def test_check_without_a_model_asked_for_fetches_none_and_says_no_time(capsys, table, tmp_path, monkeypatch):
    monkeypatch.setenv("ZNATOK_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(subprocess, "Popen", None)
    code, out, err = run("check", str(table), "--json", "--lang", "ru", capsys=capsys)
    found = json.loads(out)
    assert (code, found["training_minutes"]) == (0, None)
    assert [(one["row"], one["kind"], one["also"]) for one in found["problems"]] == [(2, "conflict", [])]
    assert "тот же вопрос, что в строке 1" in err
    assert "займёт" not in err
    assert not (tmp_path / "cache").exists()


def test_check_with_a_model_says_what_its_tokenizer_finds_and_how_long_training_takes(capsys, table, tmp_path):
    model = str(tiny_folder(tmp_path / "tiny"))
    code, out, err = run("check", str(table), "--json", "--lang", "ru", "--model", model, capsys=capsys)
    found = json.loads(out)
    assert (code, found["training_minutes"]) == (0, 1)
    assert {one["kind"] for one in found["problems"]} == {"conflict", "crumbs"}
    assert "Обучение на этой машине займёт около 1 мин (модель" in err
    table.write_text("вопрос;ответ\nПочём ухаб?;Дорого.\nГде щавель?;" + "Ищи " * 600 + "\n", encoding="utf-8")
    code, out, err = run("check", str(table), "--json", "--lang", "ru", "--model", model, capsys=capsys)
    assert (code, json.loads(out)["training_minutes"]) == (1, None)
    assert ("over_context", 2) in [(one["kind"], one["row"]) for one in json.loads(out)["problems"]]
    assert "займёт" not in err


def test_a_damaged_model_that_no_one_asked_for_does_not_fail_a_check(capsys, table, tmp_path, monkeypatch):
    folder = tiny_folder(tmp_path / "tiny")
    (folder / "tokenizer.json").write_text("{", encoding="utf-8")
    at_hand = BaseSource("builtin", folder, "znatok/tiny", None, True)
    monkeypatch.setattr("znatok.model.default_base.base_at_hand", lambda name: at_hand)
    assert run("check", str(table), "--lang", "ru", capsys=capsys)[0] == 0
    code, _, err = run("check", str(table), "--lang", "ru", "--model", str(folder), capsys=capsys)
    assert code == 1
    assert "tokenizer.json" in err
