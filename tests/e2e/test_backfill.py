"""Backfills as the UI launches them, and what it then shows of the partitions."""

from collections import Counter
from datetime import date
from typing import Any

import pytest

from tests.e2e.conftest import DAY, Platform
from tests.servers import wait_until

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]
ASSETS = ["raw_flights", "raw_weather", "feature_views", "training_rows"]
UNDER_WAY = {"REQUESTED", "CANCELING", "FAILING"}
# After the days that the platform has, and nobody else's.
DAYS = [date(2013, 3, 8) + n * DAY for n in range(3)]

LAUNCH = """mutation Backfill($params: LaunchBackfillParams!) { launchPartitionBackfill(backfillParams: $params) {
  __typename ... on LaunchBackfillSuccess { backfillId } ... on PythonError { message } } }"""
BACKFILL = """query Backfill($id: String!) { partitionBackfillOrError(backfillId: $id) {
  ... on PartitionBackfill { status error { message } runs(limit: 5) { id status } } } }"""
PARTITIONS = """query Partitions($key: AssetKeyInput!) { assetNodeOrError(assetKey: $key) { ... on AssetNode {
  assetPartitionStatuses { ... on TimePartitionStatuses { ranges { startKey endKey status } } } } } }"""


def materialized(platform: Platform, asset: str) -> set[str]:
    """Days that the UI shows as materialized."""
    node = platform.runs.ask(PARTITIONS, {"key": {"path": [asset]}})["assetNodeOrError"]
    found: set[str] = set()
    for span in node["assetPartitionStatuses"]["ranges"]:
        if span["status"] == "MATERIALIZED":
            first, last = date.fromisoformat(span["startKey"][:10]), date.fromisoformat(span["endKey"][:10])
            found |= {(first + n * DAY).isoformat() for n in range((last - first).days + 1)}
    return found


def backfill(platform: Platform, backfill_id: str) -> dict[str, Any]:
    return dict(platform.runs.ask(BACKFILL, {"id": backfill_id})["partitionBackfillOrError"])


def test_a_backfill_of_a_few_days_from_the_ui(platform: Platform) -> None:
    keys = [day.isoformat() for day in DAYS]
    params: dict[str, Any] = {"assetSelection": [{"path": [name]} for name in ASSETS], "partitionNames": keys}
    launched = platform.runs.ask(LAUNCH, {"params": params})["launchPartitionBackfill"]
    assert launched["__typename"] == "LaunchBackfillSuccess", launched
    wait_until(lambda: backfill(platform, launched["backfillId"])["status"] not in UNDER_WAY, timeout_s=240)

    found = backfill(platform, launched["backfillId"])
    assert found["status"] == "COMPLETED_SUCCESS", found
    (run,) = found["runs"]  # a range of days is one run
    events = platform.runs.run(run["id"], run["status"]).events
    made = Counter(e["assetKey"]["path"][-1] for e in events if e["__typename"] == "MaterializationEvent")
    assert made == dict.fromkeys(ASSETS, len(DAYS))
    for asset in ASSETS:
        assert set(keys) <= materialized(platform, asset)
    for folder in ("raw/flights", "raw/weather", "features/tail_arrivals", "training"):
        assert all((platform.settings.lake / folder / f"day={key}.parquet").exists() for key in keys), folder
