import json

import pytest
import torch

from tests.tiny import PEFT_TALKS, teach, tiny_network
from znatok.data.batch import make_batch
from znatok.exam.examine import ExamProgress, ExamResult, examine, write_exam
from znatok.exam.sets import reworded_set, trained_set
from znatok.model.adapter import Adapter
from znatok.records import Question, QuestionSet, Rendered, Row
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
SETS = [trained_set(ROWS), reworded_set(ROWS)]
OWN = QuestionSet("questions", tuple(Question(row.number, row.question.lower(), row.answer) for row in ROWS[::-1]))
MEASURES = ("exact", "passed", "chrf", "stopped", "echoed", "confused", "confidently_wrong", "refused")
KNOWN = tuple(name for name in MEASURES if name != "confidently_wrong")
UNKNOWN = QuestionSet("unknown_far", tuple(Question(0, f"Где живёт {animal}?", "") for animal in ("кит", "рысь", "ёж")))


def network_taught(rows, steps=20):
    torch.manual_seed(0)
    network, renderer = tiny_network()
    network.add_adapter(Adapter())
    teach(network, [renderer.conversation(row.question, row.answer) for row in rows], steps)
    return network, renderer


@pytest.fixture(scope="module")
def taught():
    return network_taught(TAUGHT)


def result_of(network, renderer, sets=SETS, **settings):
    *_, result = examine(network, renderer, sets, ROWS, **settings)
    assert isinstance(result, ExamResult)
    return result


@pytest.fixture(scope="module")
def result(taught):
    return result_of(*taught, batch_size=4)


@pytest.mark.parametrize("steps", [4, 6, 20])
def test_exact_is_what_greedy_generation_produces(steps):
    network, renderer = network_taught(ROWS, steps)
    result = result_of(network, renderer, [*SETS, OWN], batch_size=5)
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
    assert list(result.sets) == list(result.mcnemar) == list(result.auroc) == ["trained", "reworded"]
    for policies in result.sets.values():
        assert list(policies) == ["before", "after", "search"]
        for measures in policies.values():
            assert set(measures) == {"n", "n_generated", *MEASURES, *(f"{name}_ci" for name in MEASURES)}
            assert measures["confidently_wrong"] is measures["confidently_wrong_ci"] is None
            for name in KNOWN:
                if measures[f"{name}_ci"] is None:
                    assert (name, measures[name]) == ("chrf", pytest.approx(100))
                    continue
                low, high = measures[f"{name}_ci"]
                assert 0 <= low <= measures[name] <= high <= (100 if name == "chrf" else 1)
    assert json.loads(json.dumps(result.written())) == result.written()


def test_every_question_of_every_set_has_one_record(result):
    asked = [(name, row.number) for name in ("trained", "reworded") for row in ROWS]
    assert [(record["set"], record["row"]) for record in result.answers] == asked
    fields = {"set", "row", "question", "reference", "before", "after", "search", "search_row", *MEASURES}
    fields |= {"passed_by", "cause", "confused_with", "logprob"}
    assert all(set(record) == fields for record in result.answers)


def test_shares_are_the_means_of_the_records(result):
    for name, policies in result.sets.items():
        records = [record for record in result.answers if record["set"] == name]
        for measure in KNOWN[1:]:
            mean = sum(record[measure] for record in records) / len(records)
            assert policies["after"][measure] == pytest.approx(mean)


def test_the_base_answers_a_sample_only_and_is_scored_on_all(taught):
    result = result_of(*taught, before_sample=2)
    before = result.sets["trained"]["before"]
    assert (before["n"], before["n_generated"]) == (6, 2)
    assert [record["before"] is not None for record in result.answers] == [False, True, False, False, True, False] * 2
    assert result.sets["trained"]["after"]["n_generated"] == 6


@pytest.mark.parametrize("sample", [0, 2, 6])
def test_exact_is_the_same_whoever_finds_it(taught, result, sample):
    same = QuestionSet("questions", trained_set(ROWS).questions)
    found = result_of(*taught, [*SETS, same], before_sample=sample).answers
    assert [record["exact"] for record in found[:12]] == [record["exact"] for record in result.answers]
    assert [record["exact"] for record in found[12:]] == [record["exact"] for record in found[:6]]


def test_what_was_not_generated_is_null(taught):
    before = result_of(*taught, before_sample=0).sets["trained"]["before"]
    assert before["n_generated"] == 0
    assert before["exact"] == 0
    for name in MEASURES[1:]:
        assert before[name] is before[f"{name}_ci"] is None


def test_without_an_adapter_there_is_only_before():
    network, renderer = tiny_network()
    network.use()
    result = result_of(network, renderer)
    assert all(list(policies) == ["before", "search"] for policies in result.sets.values())
    assert result.mcnemar == {}
    for record in result.answers:
        assert list(record["exact"]) == ["before"]
        assert record["after"] is record["logprob"] is record["passed_by"]["after"] is None
        assert record["passed"] is record["passed_by"]["before"] is False


def test_the_log_probability_of_an_answer_is_its_mean_token(taught, result):
    network, renderer = taught
    for record in (result.answers[0], result.answers[4]):
        prompt = renderer.prompt(record["question"])
        limit = len(renderer.content_ids(record["reference"])) * 3 // 2 + 17
        said = network.generate([prompt], [limit], renderer.stop_id)[0]
        batch = make_batch([Rendered((*prompt, *said), len(prompt))])
        assert record["logprob"] == pytest.approx(-network.loss(batch) / len(said), abs=1e-4)
    assert result.answers[0]["logprob"] > result.answers[4]["logprob"]
    assert result.auroc["trained"] == 1


def test_search_answers_with_a_row_of_the_table_whatever_the_model_knows(result):
    search = result.sets["trained"]["search"]
    assert (search["n"], search["n_generated"], search["exact"], search["passed"], search["stopped"]) == (6, 6, 1, 1, 1)
    for record in result.answers:
        assert record["search"] == ROWS[record["search_row"] - 1].answer
        assert record["passed_by"]["search"] is (record["search_row"] == record["row"])


def test_search_does_not_look_into_rows_that_were_not_taught(taught):
    network, renderer = taught
    heldout = QuestionSet("heldout", (Question(4, ROWS[3].question, ROWS[3].answer),))
    *_, result = examine(network, renderer, [heldout], TAUGHT, untaught=ROWS[3:])
    assert result.answers[0]["search_row"] in (1, 2, 3)
    assert result.sets["heldout"]["search"]["passed"] == 0


def test_base_and_tuned_model_are_compared_row_by_row(result):
    assert result.mcnemar["trained"]["exact"] == {"n": 6, "only_before": 0, "only_after": 3, "p": pytest.approx(0.25)}
    assert result.mcnemar["trained"]["passed"]["only_after"] == 3


def test_an_unknown_question_has_no_right_answer_and_is_cut(taught):
    network, renderer = taught
    result = result_of(network, renderer, [UNKNOWN, trained_set(TAUGHT)])
    assert list(result.sets["unknown_far"]) == ["before", "after"]
    assert list(result.mcnemar) == list(result.auroc) == ["trained"]
    for measures in result.sets["unknown_far"].values():
        assert measures["n_generated"] == 3
        assert measures["exact"] is measures["passed"] is measures["chrf"] is measures["confused"] is None
        assert None not in (measures["echoed"], measures["confidently_wrong_ci"])
        # Cut at 48 tokens, an answer has had no chance to stop by itself.
        assert measures["stopped"] is None
    for record in result.answers[:3]:
        assert record["reference"] is record["search"] is record["passed"] is record["cause"] is None
        assert record["exact"] == {"before": None, "after": None}
        assert record["passed_by"] == dict.fromkeys(("before", "after", "search"))
        assert record["logprob"] < 0
        ids = network.generate([renderer.prompt(record["question"])], [48], renderer.stop_id)[0]
        assert record["after"] == renderer.decode(ids)


def test_an_unknown_question_answered_with_a_row_is_confidently_wrong():
    torch.manual_seed(0)
    network, renderer = tiny_network()
    network.add_adapter(Adapter())
    asked = UNKNOWN.questions[0]
    teach(network, [renderer.conversation(asked.question, ROWS[3].answer)], 40)
    result = result_of(network, renderer, [QuestionSet("unknown_near", (asked,))])
    assert result.sets["unknown_near"]["after"]["confidently_wrong"] == 1
    assert result.sets["unknown_near"]["before"]["confidently_wrong"] == 0
    assert [result.answers[0][name] for name in ("confidently_wrong", "confused_with", "confused")] == [True, 4, None]


def test_progress_grows_to_its_total_and_the_result_comes_last(taught):
    *progress, result = examine(*taught, SETS, ROWS, batch_size=4)
    assert isinstance(result, ExamResult)
    assert all(isinstance(event, ExamProgress) for event in progress)
    done = [event.done for event in progress]
    assert done == sorted(done)
    assert {event.total for event in progress} == {done[-1]} == {5 * len(ROWS) * len(SETS)}


def test_an_exact_question_is_not_generated(taught, monkeypatch):
    network, renderer = taught
    prompts = []
    writing = network.writing

    def watched(batch, limits, stop_id):
        prompts.extend(batch)
        return writing(batch, limits, stop_id)

    monkeypatch.setattr(network, "writing", watched)
    result_of(network, renderer, [trained_set(TAUGHT)], before_sample=0)
    assert prompts == []
    result_of(network, renderer, [trained_set(ROWS)], before_sample=0)
    assert sorted(prompts) == sorted(renderer.prompt(row.question) for row in ROWS[3:])


def test_between_batches_the_model_is_as_it_was(taught):
    network, renderer = taught
    batch = make_batch([renderer.conversation(row.question, row.answer) for row in ROWS])
    loss = network.score(batch).loss.item()
    for _ in examine(network, renderer, SETS, ROWS, batch_size=4):
        assert torch.is_grad_enabled()
        assert network.score(batch).loss.item() == loss
    exam = examine(network, renderer, SETS, ROWS, batch_size=4)
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
    *_, result = examine(network, renderer, [trained_set([echo, swap, endless])], ROWS)
    found = {record["row"]: record for record in result.answers}
    assert [found[row]["cause"] for row in (2, 3, 5)] == ["echoed", "confused", "unrelated"]
    assert [found[row]["confused_with"] for row in (2, 3, 5)] == [None, 1, None]
    assert found[2]["after"].startswith(echo.answer)
    assert [found[2][name] for name in ("passed", "stopped", "echoed", "confused")] == [False, True, True, False]
    assert found[3]["after"] == ROWS[0].answer
    assert [found[3][name] for name in ("passed", "stopped", "echoed", "confused")] == [False, True, False, True]
    assert [found[5][name] for name in ("passed", "stopped", "echoed")] == [False, False, False]


def test_the_exam_is_written_with_what_came_along(tmp_path, result):
    run = RunFolder(tmp_path)
    write_exam(run, result, {"seconds": 1.5})
    written = json.loads(run.exam.read_text(encoding="utf-8"))
    assert written == {"seconds": 1.5, "sets": result.sets, "mcnemar": result.mcnemar, "auroc": result.auroc}
    assert list(read_lines(run.answers)) == result.answers
    assert run.is_finished


def test_a_run_without_its_answers_is_not_finished(tmp_path, result):
    run = RunFolder(tmp_path)
    run.answers.mkdir()
    with pytest.raises(OSError, match=r"answers\.jsonl"):
        write_exam(run, result, {})
    assert not run.is_finished
