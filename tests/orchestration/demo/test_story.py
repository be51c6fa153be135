"""What the demo's steps ask of Dagster."""

import io
from typing import Any

import dagster as dg
from rich.console import Console

from orchestration.definitions import defs
from orchestration.demo.dagster_runs import Run
from orchestration.demo.narrator import Narrator
from orchestration.demo.story import Story, compare_with_offline

CHECKED = [
    {"__typename": "AssetCheckEvaluationEvent", "evaluation": {"checkName": "served_equals_offline", "success": True}},
    {
        "__typename": "MaterializationEvent",
        "assetKey": {"path": ["skew_report"]},
        "metadataEntries": [{"label": "verdict", "text": "as in training"}],
    },
]


class Asked(Story):
    """A story without a platform: keeps what a step launches, whose run passes its check."""

    def __init__(self) -> None:
        self.narrator = Narrator(Console(file=io.StringIO()))
        self.launched: list[tuple[str, Any]] = []

    def succeed(self, live: object, job: str, *, ops: dict[str, Any] | None = None, tags: object = None) -> Run:
        del live, tags
        self.launched.append((job, ops))
        return Run("1", "SUCCESS", "http://127.0.0.1/runs/1", CHECKED)


def test_the_day_that_was_replayed_is_compared_whatever_else_is_in_the_log() -> None:
    story = Asked()
    compare_with_offline(story, lambda _: None)
    ((job, ops),) = story.launched
    assert ops == {"skew_report": {"day": "2013-05-01"}}
    assert dg.validate_run_config(defs().resolve_job_def(job), {"ops": {"skew_report": {"config": ops["skew_report"]}}})
    assert story.narrator.figures["skew"] == "as in training"
