import json
import subprocess
import sys
from pathlib import Path

import pytest

from znatok import cli, messages

ROOT = Path(__file__).parent.parent


@pytest.fixture(autouse=True)
def fresh_language():
    yield
    messages.set_language(None)


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


def test_check_prints_one_json_object_and_talks_to_stderr(capsys, tmp_path):
    table = tmp_path / "т.csv"
    table.write_text("вопрос;ответ\nЧто это?;Стол.\nА это?;\nЧто там?;Дом.\n", encoding="cp1251")
    code, out, err = run("check", str(table), "--json", "--lang", "ru", capsys=capsys)
    found = json.loads(out)
    assert code == 1
    assert (found["rows"], found["encoding"], found["delimiter"]) == (2, "cp1251", ";")
    assert [(problem["row"], problem["kind"]) for problem in found["problems"]] == [(2, "empty_answer")]
    assert "строк 2" in err


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
