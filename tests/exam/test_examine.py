import json

import pytest
import torch

from tests.tiny import PEFT_TALKS, teach, tiny_network
from znatok.data.batch import make_batch
from znatok.exam.examine import ExamProgress, ExamResult, examine, write_exam
from znatok.exam.sets import reworded_set, trained_set
from znatok.model.network import Adapter
from znatok.records import Rendered, Row
from znatok.run_folder import RunFolder, read_lines

pytestmark = PEFT_TALKS

ROWS = [
    Row(1, "Что такое резистор?", "Деталь, что ограничивает ток."),
    Row(2, "Зачем нужен конденсатор?", "Он запасает заряд."),
    Row(3, "What is a fuse?", "It melts above 2 A."),
    Row(4, "Что такое диод?", "Деталь, что пропускает ток в одну сторону."),
    Row(5, "What is a coil?", "A wire of 100 turns."),
    Row(6, "Чем меряют ток?", "Амперметром."),
]
TAUGHT = ROWS[:3]
ANSWERS = [row.answer for row in ROWS]
SETS = [trained_set(ROWS), reworded_set(ROWS)]
MEASURES = ("exact", "passed", "chrf", "stopped", "echoed", "confused")
SHARES = tuple(name for name in MEASURES if name != "chrf")


def network_taught(rows, steps=20):
    torch.manual_seed(0)
    network, renderer = tiny_network()
    network.add_adapter(Adapter())
    teach(network, [renderer.conversation(row.question, row.answer) for row in rows], steps)
    return network, renderer


@pytest.fixture(scope="module")
def taught():
    return network_taught(TAUGHT)


def result_of(network, renderer, sets=SETS, answers=ANSWERS, **settings):
    *_, result = examine(network, renderer, sets, answers, **settings)
    assert isinstance(result, ExamResult)
    return result


@pytest.fixture(scope="module")
def result(taught):
    return result_of(*taught, batch_size=4)


@pytest.mark.parametrize("steps", [4, 6, 20])
def test_exact_is_what_greedy_generation_produces(steps):
    network, renderer = network_taught(ROWS, steps)
    result = result_of(network, renderer, batch_size=5)
    prompts = [renderer.prompt(record["question"]) for record in result.answers]
    wanted = [[*renderer.content_ids(record["reference"]), renderer.stop_id] for record in result.answers]
    limits = [len(ids) * 3 // 2 + 16 for ids in wanted]
    after = network.generate(prompts, limits, renderer.stop_id)
    with network.base_alone():
        before = network.generate(prompts, limits, renderer.stop_id)
    for number, record in enumerate(result.answers):
        exact = {"before": before[number] == wanted[number], "after": after[number] == wanted[number]}
        assert record["exact"] == exact
        assert record["before"] == renderer.decode(before[number])
        assert record["after"] == renderer.decode(after[number])
        assert record["stopped"] == (after[number][-1] == renderer.stop_id)
    if steps == 6:
        assert 0 < sum(record["exact"]["after"] for record in result.answers) < len(result.answers)


def test_three_taught_rows_are_known_and_the_others_are_not(result):
    after = result.sets["trained"]["after"]
    assert [record["exact"]["after"] for record in result.answers[:6]] == [True] * 3 + [False] * 3
    assert (after["n"], after["exact"], after["n_generated"]) == (6, 0.5, 6)
    for record in result.answers[:3]:
        assert record["after"] == record["reference"]
        assert (record["passed"], record["chrf"], record["stopped"]) == (True, pytest.approx(100), True)
        assert (record["echoed"], record["confused"]) == (False, False)


def test_the_base_knows_nothing_and_is_examined_without_the_adapter(result):
    network, renderer = tiny_network()
    network.use()
    alone = result_of(network, renderer)
    for name in result.sets:
        assert result.sets[name]["before"] == alone.sets[name]["before"]
        assert result.sets[name]["before"]["exact"] == result.sets[name]["before"]["passed"] == 0
    assert [record["before"] for record in result.answers] == [record["before"] for record in alone.answers]


def test_scores_have_the_shape_of_exam_json(result):
    assert list(result.sets) == ["trained", "reworded"]
    for policies in result.sets.values():
        assert list(policies) == ["before", "after"]
        for measures in policies.values():
            assert set(measures) == {"n", "n_generated", *MEASURES, *(f"{name}_ci" for name in SHARES)}
            assert 0 <= measures["chrf"] <= 100
            for name in SHARES:
                low, high = measures[f"{name}_ci"]
                assert 0 <= low <= measures[name] <= high <= 1
    assert json.loads(json.dumps(result.sets)) == result.sets


def test_every_question_of_every_set_has_one_record(result):
    asked = [(name, row.number) for name in ("trained", "reworded") for row in ROWS]
    assert [(record["set"], record["row"]) for record in result.answers] == asked
    fields = {"set", "row", "question", "reference", "before", "after", *MEASURES}
    assert all(set(record) == fields for record in result.answers)


def test_shares_are_the_means_of_the_records(result):
    for name, policies in result.sets.items():
        records = [record for record in result.answers if record["set"] == name]
        for measure in MEASURES[1:]:
            mean = sum(record[measure] for record in records) / len(records)
            assert policies["after"][measure] == pytest.approx(mean)


def test_the_base_answers_a_sample_only_and_is_scored_on_all(taught):
    result = result_of(*taught, before_sample=2)
    before = result.sets["trained"]["before"]
    assert (before["n"], before["n_generated"]) == (6, 2)
    assert [record["before"] is not None for record in result.answers] == [False, True, False, False, True, False] * 2
    assert result.sets["trained"]["after"]["n_generated"] == 6


def test_what_was_not_generated_is_null(taught):
    before = result_of(*taught, before_sample=0).sets["trained"]["before"]
    assert before["n_generated"] == 0
    assert before["exact"] == 0
    for name in MEASURES[1:]:
        assert before[name] is None
    assert before["passed_ci"] is None


def test_without_an_adapter_there_is_only_before():
    network, renderer = tiny_network()
    network.use()
    result = result_of(network, renderer)
    assert all(list(policies) == ["before"] for policies in result.sets.values())
    for record in result.answers:
        assert list(record["exact"]) == ["before"]
        assert record["after"] is None
        assert record["passed"] is False


def test_progress_grows_to_its_total_and_the_result_comes_last(taught):
    *progress, result = examine(*taught, SETS, ANSWERS, batch_size=4)
    assert isinstance(result, ExamResult)
    assert all(isinstance(event, ExamProgress) for event in progress)
    done = [event.done for event in progress]
    assert done == sorted(done)
    assert {event.total for event in progress} == {done[-1]} == {4 * len(ROWS) * len(SETS)}


def test_an_exact_question_is_not_generated(taught, monkeypatch):
    network, renderer = taught
    prompts = []
    growing = network.growing

    def watched(batch, limits, stop_id):
        prompts.extend(batch)
        return growing(batch, limits, stop_id)

    monkeypatch.setattr(network, "growing", watched)
    result_of(network, renderer, [trained_set(TAUGHT)], before_sample=0)
    assert prompts == []
    result_of(network, renderer, [trained_set(ROWS)], before_sample=0)
    assert sorted(prompts) == sorted(renderer.prompt(row.question) for row in ROWS[3:])


def test_between_batches_the_model_is_as_it_was(taught):
    network, renderer = taught
    batch = make_batch([renderer.conversation(row.question, row.answer) for row in ROWS])
    loss = network.score(batch).loss.item()
    for _ in examine(network, renderer, SETS, ANSWERS, batch_size=4):
        assert torch.is_grad_enabled()
        assert network.score(batch).loss.item() == loss
    exam = examine(network, renderer, SETS, ANSWERS, batch_size=4)
    next(exam)
    exam.close()
    assert network.score(batch).loss.item() == loss


def test_the_batch_size_changes_nothing(taught, result):
    assert result_of(*taught, batch_size=32) == result


def test_a_model_that_was_taught_faults_is_caught_at_them():
    torch.manual_seed(0)
    network, renderer = tiny_network()
    network.add_adapter(Adapter())
    echo, swap, endless = ROWS[1], ROWS[2], ROWS[4]
    assistant = renderer.describe()["ids"]["answer_open"][2:]
    prompt = renderer.prompt(echo.question)
    lessons = [
        Rendered((*prompt, *renderer.content_ids(echo.answer), *assistant, renderer.stop_id), len(prompt)),
        renderer.conversation(swap.question, ROWS[0].answer),
        renderer.conversation(endless.question, "ток " * 60),
    ]
    teach(network, lessons, 60)
    *_, result = examine(network, renderer, [trained_set([echo, swap, endless])], ANSWERS)
    found = {record["row"]: record for record in result.answers}
    assert found[2]["after"].startswith(echo.answer)
    assert [found[2][name] for name in ("passed", "stopped", "echoed", "confused")] == [False, True, True, False]
    assert found[3]["after"] == ROWS[0].answer
    assert [found[3][name] for name in ("passed", "stopped", "echoed", "confused")] == [False, True, False, True]
    assert [found[5][name] for name in ("passed", "stopped", "echoed")] == [False, False, False]


def test_the_exam_is_written_with_what_came_along(tmp_path, result):
    run = RunFolder(tmp_path)
    write_exam(run, result, {"seconds": 1.5})
    written = json.loads(run.exam.read_text(encoding="utf-8"))
    assert written == {"seconds": 1.5, "sets": result.sets}
    assert list(read_lines(run.answers)) == result.answers
    assert run.is_finished


def test_a_run_without_its_answers_is_not_finished(tmp_path, result):
    run = RunFolder(tmp_path)
    run.answers.mkdir()
    with pytest.raises(OSError, match=r"answers\.jsonl"):
        write_exam(run, result, {})
    assert not run.is_finished
