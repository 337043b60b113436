import pytest
import torch

from tests.tiny import PEFT_TALKS, teach, tiny_network
from znatok.exam.examine import ExamProgress, ExamResult
from znatok.exam.session import hold_exam
from znatok.exam.sets import unknown_near_set
from znatok.model.adapter import Adapter
from znatok.records import Row

pytestmark = PEFT_TALKS

ROWS = [Row(1, "Что такое диод?", "Вентиль для тока.", (), ("Диод, что это?",)), Row(2, "What is a fuse?", "A wire.")]
HELDOUT = [Row(3, "Чем меряют ток?", "Амперметром.")]


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    network, renderer = tiny_network()
    network.add_adapter(Adapter())
    teach(network, [renderer.conversation(row.question, row.answer) for row in ROWS], 20)
    return network, renderer


def test_the_whole_exam_asks_every_set_and_then_what_was_forgotten(network):
    near = unknown_near_set(["Что такое варикап?"], ROWS)
    *progress, result = hold_exam(*network, ROWS, [near], heldout=HELDOUT, left=[], general_prompts=0)
    assert isinstance(result, ExamResult)
    assert all(isinstance(piece, ExamProgress) for piece in progress)
    counts = {name: policies["after"]["n"] for name, policies in result.sets.items()}
    assert counts == {"trained": 2, "reworded": 3, "heldout": 1, "unknown_near": 1}
    assert set(result.forgetting["bits_per_byte"]) == {"ru", "en"}
    assert result.written() == {
        "sets": result.sets,
        "mcnemar": result.mcnemar,
        "auroc": result.auroc,
        "forgetting": result.forgetting,
    }


def test_without_an_adapter_nothing_can_be_forgotten():
    *_, result = hold_exam(*tiny_network(), ROWS, [], general_prompts=0)
    assert result.forgetting is None
    assert "heldout" not in result.sets
    assert "forgetting" not in result.written()
