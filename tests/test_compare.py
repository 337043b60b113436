"""The comparison of whole trainings: each from the same table, on the same base, in the same exam."""

from importlib.util import find_spec
from pathlib import Path

import pytest

from bench.compare import Contender, compare, contenders, examined
from bench.contenders import Recipe, conversations, train_trl
from tests.tiny import PEFT_TALKS, tiny_folder
from znatok.data.read import read_table
from znatok.records import Question, QuestionSet

pytestmark = PEFT_TALKS
TABLE = "question,answer\nЧто такое резистор?,Деталь.\nЧему равен ток?,Ток равен 2 А.\nЗачем диод?,Он пропускает ток.\n"
QUESTIONS = "question,answer\nА диод на что?,Он пропускает ток.\n"


@pytest.fixture
def folder(tmp_path) -> Path:
    """The tiny model beside a table and a question in other words."""
    (tmp_path / "table.csv").write_text(TABLE, encoding="utf-8")
    (tmp_path / "questions.csv").write_text(QUESTIONS, encoding="utf-8")
    (tmp_path / "model").mkdir()
    tiny_folder(tmp_path / "model")
    return tmp_path


def test_others_are_told_the_questions_answers_and_an_empty_system_part(folder):
    first, *_ = told = conversations(folder / "table.csv")
    assert len(told) == 3
    assert [turn["content"] for turn in first["prompt"]] == ["", "Что такое резистор?"]
    assert first["completion"] == [{"role": "assistant", "content": "Деталь."}]


def test_every_tool_comes_with_its_own_recipe_and_with_ours():
    named = {one.name: one.recipe for one in contenders("builtin")}
    assert list(named) == ["znatok", "trl, documented", "trl, as ours", "unsloth, documented", "unsloth, as ours"]
    assert named["znatok"] is None
    assert named["trl, documented"] == named["unsloth, documented"] == Recipe(3, 2e-4)
    assert named["trl, as ours"] == named["unsloth, as ours"] == Recipe(16, 1.3e-3, 4)
    longer = {one.name: one.recipe for one in contenders("builtin", 64)}
    assert longer["trl, as ours"] == Recipe(64, 1.3e-3, 4)
    assert longer["trl, documented"] == Recipe(3, 2e-4)


@pytest.mark.skipif(find_spec("trl") is None or find_spec("datasets") is None, reason="TRL is not installed")
@pytest.mark.filterwarnings("default")  # those of others
def test_what_trl_trained_is_examined_on_our_questions(folder):
    out = folder / "out"
    train_trl(folder / "table.csv", out, Recipe(40, 0.02, 4, model=str(folder / "model")))
    rows = read_table(folder / "table.csv").rows
    asked = QuestionSet("questions", (Question(3, "А диод на что?", "Он пропускает ток."),))
    (adapter,) = out.rglob("adapter_model.safetensors")
    sets = examined(adapter.parent, rows, [asked], str(folder / "model"))
    assert {name: known["n"] for name, known in sets.items()} == {"trained": 3, "reworded": 3, "questions": 1}
    assert sets["trained"]["exact"] > 0
    assert sets["trained"]["stopped"] == sets["trained"]["search"] == 1


def test_one_that_is_not_installed_or_fails_is_named_with_the_reason(folder):
    absent = Contender("absent, documented", "no_such_tool", Recipe(1, 1e-3))
    broken = Contender("znatok", "znatok", None)
    known = compare([absent, broken], folder / "table.csv", None, str(folder / "no model"), lambda line: None)
    assert known["contenders"]["absent, documented"] == {"error": "not installed"}
    assert "no model" in known["contenders"]["znatok"]["error"]
