"""The definition graph is the one that was reviewed."""

import difflib
import json

import dagster as dg
import pytest

from orchestration.definitions import defs
from tests.orchestration.defs.snapshot import GRAPH, text


@pytest.fixture(scope="module")
def repository() -> dg.RepositoryDefinition:
    return defs().get_repository_def()


def test_the_graph_is_as_it_was_reviewed(repository: dg.RepositoryDefinition) -> None:
    reviewed, found = GRAPH.read_text(), text(repository)
    assert json.loads(found), "the snapshot is JSON"
    difference = "\n".join(difflib.unified_diff(reviewed.splitlines(), found.splitlines(), "reviewed", "found", n=0))
    assert not difference, f"meant so? Then run `python -m tests.orchestration.defs.snapshot`.\n{difference}"
