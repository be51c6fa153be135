"""The demo: that it tells its story, and leaves everything in Dagster green but the check that it fails on purpose."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import Platform
from tests.e2e.demo.conftest import Demo

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(960)]
DELIBERATE = "canary_is_no_worse"
_ASSETS = """{ assetNodes {
    assetKey { path } isMaterializable partitionStats { numMaterialized numFailed }
    assetMaterializations(limit: 1) { metadataEntries { label } }
    assetObservations(limit: 1) { metadataEntries { label } }
    assetChecksOrError { ... on AssetChecks { checks { name executionForLatestMaterialization { status } } } } } }"""


def test_the_demo_tells_the_story(demo: Demo, home: Path) -> None:
    """`make demo` at a terminal: every step done, the figures in the summary, and it stays up."""
    assert "The whole loop in" in demo.said
    assert demo.process.poll() is None
    summary = json.loads((home / "demo" / "summary.json").read_text())
    assert [s["name"] for s in summary["steps"] if not s["ok"]] == []
    assert 0.78 < summary["april_auc"] < 0.82
    assert 0 < summary["time_to_zero_seconds"] <= 20
    assert summary["user_visible_errors"] == 0
    assert summary["event_to_readable_p95_ms"] <= 2000
    assert summary["skew"] == "26 features of 957 rows are as in training"


@pytest.fixture(scope="module")
def assets(platform: Platform) -> dict[str, dict[str, Any]]:
    """The assets of the demo's graph by name."""
    nodes = platform.runs.ask(_ASSETS, {})["assetNodes"]
    return {node["assetKey"]["path"][-1]: node for node in nodes}


def test_every_asset_is_materialized_and_says_something(assets: dict[str, dict[str, Any]]) -> None:
    """But what decides on trials which steps lead, for the story leads its own, and what needs weeks of labels."""
    assert len(assets) > 15
    bare = [
        name
        for name, node in assets.items()
        if not any(
            seen["metadataEntries"]
            for seen in node["assetMaterializations"] + ([] if node["isMaterializable"] else node["assetObservations"])
        )
    ]
    assert sorted(bare) == ["model_health", "rollout_step", "usual_health"]


def test_every_ingested_day_is_whole(assets: dict[str, dict[str, Any]]) -> None:
    stats = {name: node["partitionStats"] for name, node in assets.items() if node["partitionStats"]}
    assert {"raw_flights", "raw_weather", "feature_views", "training_rows"} <= set(stats)
    assert {name: found for name, found in stats.items() if found["numFailed"] or found["numMaterialized"] < 100} == {}


def test_every_check_passed_but_the_deliberate_one(assets: dict[str, dict[str, Any]]) -> None:
    latest = {
        check["name"]: (check["executionForLatestMaterialization"] or {"status": "never run"})["status"]
        for node in assets.values()
        for check in node["assetChecksOrError"].get("checks", [])
    }
    of_weeks = dict.fromkeys(("model_is_healthy", "labels_are_on_time"), "never run")
    assert {name: of for name, of in latest.items() if of != "SUCCEEDED"} == {DELIBERATE: "FAILED", **of_weeks}
