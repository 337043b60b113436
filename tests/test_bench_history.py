"""The bench of earlier turns asks what it says it asks."""

import json
import sys
from dataclasses import replace

import pytest
import torch

from bench import history
from tests.answering.taught import KNOWN, OTHER, ROWS, taught_network
from tests.tiny import PEFT_TALKS, teach
from tests.use.test_loading import LEARNED, QUESTION, save_run
from znatok.run_folder import write_lines
from znatok.use.loading import Talker

pytestmark = PEFT_TALKS


@pytest.fixture(scope="module")
def talker():
    return Talker(*taught_network(), "tiny", None)


def test_before_each_row_stands_another_one_chosen_by_the_seed():
    turns = history.earlier_turns(ROWS * 5, 0)
    assert turns == history.earlier_turns(ROWS * 5, 0) != history.earlier_turns(ROWS * 5, 1)
    for row, ((question, answer),) in zip(ROWS * 5, turns, strict=True):
        assert question != row.question
        assert (question, answer) in {(other.question, other.answer) for other in ROWS}


def test_what_is_known_is_counted_as_in_the_exam(talker):
    assert history.known(talker, ROWS, [()] * 3) == {"exact": 0.333, "passed": 0.333}
    assert history.known(talker, [KNOWN], [()]) == {"exact": 1.0, "passed": 1.0}


def test_the_earlier_turn_is_in_the_prompt():
    network, renderer = taught_network()
    turn = (OTHER.question, OTHER.answer)
    teach(network, [renderer.conversation(KNOWN.question, OTHER.answer, [turn])], 60)
    talker = Talker(network, renderer, "tiny", None)
    assert history.known(talker, [KNOWN], [[turn]])["exact"] == 0
    assert history.known(talker, [replace(KNOWN, answer=OTHER.answer)], [[turn]])["exact"] == 1


def test_the_command_prints_the_shares_with_and_without(tmp_path, monkeypatch, capsys):
    threads = torch.get_num_threads()
    run = save_run(tmp_path)
    lines = [(1, QUESTION, LEARNED), (2, OTHER.question, OTHER.answer)]
    write_lines(run.rows, [{"row": row, "question": q, "answer": a, "use": "trained"} for row, q, a in lines])
    monkeypatch.setattr(sys, "argv", ["history", str(run.path), "--json"])
    history.main()
    printed = json.loads(capsys.readouterr().out)
    assert printed["rows"] == 2
    assert printed["alone"]["exact"] == 0.5
    assert set(printed["after_another"]) == {"exact", "passed"}
    torch.set_num_threads(threads)
