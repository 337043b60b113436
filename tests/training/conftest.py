import os

import pytest

from tests.tiny import tiny_folder
from tests.training.runs import write_table
from znatok.training import updates


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """The folder of a base of two layers."""
    return tiny_folder(tmp_path_factory.mktemp("tiny") / "model")


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    """A table of five rows."""
    return write_table(tmp_path_factory.mktemp("table"))


@pytest.fixture(autouse=True)
def every_point_saves_and_the_base_says_little(monkeypatch):
    """The runs of these tests last a second, and their states are what is tested."""
    monkeypatch.setattr(updates, "POINT_SECONDS", -1.0)
    monkeypatch.setattr(updates, "FIRST_ANSWER_TOKENS", 8)


@pytest.fixture(scope="module")
def one_cpu():
    """Two threads wait for each other far longer than so small a model computes; processes started here inherit it."""
    before = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else None
    if before:
        os.sched_setaffinity(0, {max(before)})
    yield
    if before:
        os.sched_setaffinity(0, before)
