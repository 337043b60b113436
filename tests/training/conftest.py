import os

import pytest


@pytest.fixture(scope="module")
def one_cpu():
    """Two threads wait for each other far longer than so small a model computes; processes started here inherit it."""
    before = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else None
    if before:
        os.sched_setaffinity(0, {max(before)})
    yield
    if before:
        os.sched_setaffinity(0, before)
