"""A model of two layers that knows some rows of a table, and judges that are made by hand."""

from dataclasses import fields

import torch

from tests.tiny import teach, tiny_network
from znatok.answering.confidence import Calibration, Regression
from znatok.answering.evidence import Evidence
from znatok.answering.policies import Judge
from znatok.data.search import Search
from znatok.model.adapter import Adapter
from znatok.records import Row

KNOWN = Row(1, "Что такое резистор?", "Деталь, что ограничивает ток.")
OTHER = Row(2, "Зачем нужен конденсатор?", "Он запасает заряд.")
THIRD = Row(3, "What is a fuse?", "It melts above 2 A.")
ROWS = (KNOWN, OTHER, THIRD)
STRANGE = "запасает заряд, зачем он"
"""A wording of the second row that the weights answer with the first one, and search finds."""

NAMES = [field.name for field in fields(Evidence)]


def taught_network():
    """Knows the first row by heart, and takes the other wording of the second for it."""
    torch.manual_seed(0)
    network, renderer = tiny_network()
    network.add_adapter(Adapter())
    lessons = [(KNOWN.question, KNOWN.answer), (STRANGE, KNOWN.answer)]
    teach(network, [renderer.conversation(*lesson) for lesson in lessons], 40)
    return network, renderer


def by(**weights):
    """A regression that looks at these inputs alone; its probability is a half where their sum is a half."""
    scaled = tuple(20.0 * weights.get(name, 0.0) for name in NAMES)
    return Regression((0.0,) * len(NAMES), (1.0,) * len(NAMES), scaled, -10.0)


AGREES, FINDS, NEVER = by(agrees=1.0), by(likeness=99.0), by()
"""Regressions that believe what weights and search both say; whatever is found; nothing."""


def judge_of(network, renderer, weights, search, sure=0.5, least=0.5, rows=ROWS, far=None, is_open=True):
    calibration = Calibration(weights, search, sure, least, far, {"answerable": 3})
    return Judge(Search(rows), renderer, calibration, is_open)
