"""What the documents promise names the tests that hold it, and those tests are there."""

import ast
import re

import pytest

from tests.security.watching import ROOT

NAMED = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", (ROOT / "docs" / "reliability.md").read_text(encoding="utf-8"))


@pytest.mark.parametrize(("path", "name"), NAMED, ids=lambda text: text.rpartition("/")[2])
def test_a_test_that_a_document_names_is_there(path, name):
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    assert name in {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}


def test_the_document_names_many_and_its_reader_finds_it():
    assert len(NAMED) == len(set(NAMED)) >= 20
    assert "docs/reliability.md" in (ROOT / "SECURITY.md").read_text(encoding="utf-8")
