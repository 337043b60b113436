"""Which rows are not known."""

from types import SimpleNamespace

from tests.tiny import tiny_network
from znatok.records import Row
from znatok.training.probes import missed

ROWS = tuple(Row(number, f"What is part {number}?", f"Part {number} is a thing.") for number in range(1, 4))


def missed_by_a_fresh_network(exact, **asked):
    network, renderer = tiny_network()
    return missed(network, renderer, SimpleNamespace(rows=ROWS), exact, **asked)


def test_only_rows_that_were_last_wrong_are_asked_again():
    exact = {0: True, 1: False, 2: True}
    assert missed_by_a_fresh_network(exact) == [1]
    assert exact == {0: True, 1: False, 2: True}


def test_after_updates_on_a_few_rows_all_are_asked_for_those_may_have_cost_what_others_knew():
    exact = {0: True, 1: False, 2: True}
    assert missed_by_a_fresh_network(exact, all_rows=True) == [0, 1, 2]
    assert not any(exact.values())
