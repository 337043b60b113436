"""A model of two layers that knows some rows of a table, and judges that are made by hand."""

from dataclasses import fields

import torch

from tests.tiny import teach, tiny_network
from znatok.answering.confidence import Calibration, Regression
from znatok.answering.evidence import Evidence
from znatok.answering.policies import Judge, Sources
from znatok.model.network import Adapter
from znatok.records import Row

KNOWN = Row(1, "Что такое резистор?", "Деталь, что ограничивает ток.")
OTHER = Row(2, "Зачем нужен конденсатор?", "Он запасает заряд.")
THIRD = Row(3, "What is a fuse?", "It melts above 2 A.")
ROWS = (KNOWN, OTHER, THIRD)
STRANGE = "запасает заряд, что это"
"""A wording of the second row that the weights answer with the first one; with rows in the prompt they do better."""

NAMES = [field.name for field in fields(Evidence)]


def taught_network():
    """Knows the first row by heart, and the second one with rows in the prompt."""
    torch.manual_seed(0)
    network, renderer = tiny_network()
    network.add_adapter(Adapter())
    sources = sources_of(network, renderer)
    grounded = sources.grounded(STRANGE, sources.closest(STRANGE))
    lessons = [(KNOWN.question, KNOWN.answer), (STRANGE, KNOWN.answer), (grounded.text, OTHER.answer)]
    teach(network, [renderer.conversation(*lesson) for lesson in lessons], 40)
    return network, renderer


def sources_of(network, renderer, rows=ROWS, grounded_rows=2):
    return Sources(rows, renderer, grounded_rows, network.column_limit)


def by(**weights):
    """A regression that looks at these inputs alone; its probability is a half where their sum is a half."""
    scaled = tuple(20.0 * weights.get(name, 0.0) for name in NAMES)
    return Regression((0.0,) * len(NAMES), (1.0,) * len(NAMES), scaled, -10.0)


def judge_of(network, renderer, weights, rows, sure=0.5, least=0.5, grounded_rows=2):
    calibration = Calibration(weights, rows, sure, least, grounded_rows, {"answerable": 3})
    return Judge(sources_of(network, renderer, grounded_rows=grounded_rows), calibration)
