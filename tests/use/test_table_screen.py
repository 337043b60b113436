import pytest

from tests.tiny import tiny_folder
from znatok import cli, messages


@pytest.fixture(autouse=True)
def fresh_language():
    yield
    messages.set_language(None)


def test_check_shows_rows_with_their_trained_tokens_marked(tmp_path, capsys):
    model = tiny_folder(tmp_path / "tiny")
    table = tmp_path / "t.csv"
    table.write_text("question,answer\nЧто это?,Стол.\nА то?,Дом.\nИ там?,Лес.\nЗачем?,Так.\n", encoding="utf-8")
    code = cli.run(["check", str(table), "--show", "3", "--model", str(model), "--lang", "ru"])
    out = capsys.readouterr().out.replace("\n", "")
    assert code == 0
    shown = out[out.index("Выделено") :]
    # Without colour, trained tokens stand in brackets: exactly the answer and its end.
    assert shown.count("<|im_start|>user") == 3
    assert shown.count("[<|im_end|>]") == 3
    for answer in ("Стол.", "Дом.", "Лес."):
        assert f"[{answer}<|im_end|>]" in shown.replace("][", "")
    assert "Так." not in shown
    assert "строка 3:" in shown
