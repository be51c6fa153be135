"""A corrupted day in a range run: it stops what depends on it, the other days go on, and a repair heals all of it."""

import os
import subprocess
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from orchestration.definitions import defs as load
from orchestration.ingestion.partitions import days
from tests.orchestration.ingestion.sources import on, source_folder
from tests.servers import BIN, QUIET, ROOT

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]

FIRST, END, BAD = date(2013, 6, 1), date(2013, 6, 15), date(2013, 6, 5)
DAY = timedelta(days=1)
ALL = set(days(FIRST, END))
# A day's features read seven days of flights before it, its training rows another day of features.
WITHOUT_FEATURES, WITHOUT_ROWS = set(days(BAD, BAD + 8 * DAY)), set(days(BAD, BAD + 9 * DAY))
WRITTEN = {
    "raw_flights": ALL - {BAD},
    "raw_weather": ALL,
    "feature_views": ALL - WITHOUT_FEATURES,
    "training_rows": ALL - WITHOUT_ROWS,
}
FOLDERS = {
    "raw_flights": "raw/flights",
    "raw_weather": "raw/weather",
    "feature_views": "features/origin_board",
    "training_rows": "training",
}


class Scene:
    """A lake, a Dagster instance and two sources: one as published, one with a corrupted day."""

    def __init__(self, home: Path) -> None:
        self.lake = home / "lake"
        self.good = source_folder(home / "good", FIRST - DAY, END + DAY)
        self.bad = source_folder(home / "bad", FIRST - DAY, END + DAY, flights=on(BAD, 3, origin="XXX"))
        self.instance = dg.DagsterInstance.ephemeral()
        self.job = load().resolve_job_def("ingest_and_compute")

    def run(self, source: Path, job: dg.JobDefinition | None = None, **how: Any) -> dg.ExecuteInProcessResult:
        last = (END - DAY).isoformat()
        tags = {"dagster/asset_partition_range_start": FIRST.isoformat(), "dagster/asset_partition_range_end": last}
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("PLATFORM_HOME", str(self.lake.parent))
            patch.setenv("FLIGHTS_SOURCE", str(source))
            how = how or {"tags": tags}
            return (job or self.job).execute_in_process(instance=self.instance, raise_on_error=False, **how)

    def stored(self) -> dict[str, set[date]]:
        return {asset: self.days_in(self.lake / folder) for asset, folder in FOLDERS.items()}

    @staticmethod
    def days_in(folder: Path) -> set[date]:
        return {date.fromisoformat(path.stem.removeprefix("day=")) for path in folder.glob("day=*.parquet")}


def materialized(result: dg.ExecuteInProcessResult) -> dict[str, set[date]]:
    found: dict[str, set[date]] = {asset: set() for asset in WRITTEN}
    for event in result.get_asset_materialization_events():
        found[event.asset_key.to_user_string()].add(date.fromisoformat(event.partition))
    return found


def failure(result: dg.ExecuteInProcessResult) -> str:
    (event,) = [event for event in result.all_node_events if event.is_step_failure]
    return event.step_failure_data.error.message + event.step_failure_data.user_failure_data.description


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Scene:
    return Scene(tmp_path_factory.mktemp("corrupted"))


@pytest.fixture(scope="module")
def before(scene: Scene) -> dg.ExecuteInProcessResult:
    """All is well at first, so that stale partitions of the corrupted day and what follows from it lie in the lake."""
    return scene.run(scene.good)


@pytest.fixture(scope="module")
def corrupted(scene: Scene, before: dg.ExecuteInProcessResult) -> dg.ExecuteInProcessResult:
    return scene.run(scene.bad)


def test_a_good_range_is_materialized_whole(before: dg.ExecuteInProcessResult) -> None:
    assert before.success
    assert materialized(before) == dict.fromkeys(WRITTEN, ALL)
    evaluations = before.get_asset_check_evaluations()
    assert all(e.passed for e in evaluations)
    assert len(evaluations) == 2 * len(ALL) + 3


def test_the_run_fails_and_says_what_is_wrong_and_what_it_holds_back(corrupted: dg.ExecuteInProcessResult) -> None:
    assert not corrupted.success
    said = failure(corrupted)
    assert "raw_flights 2013-06-05 refused: origin: values to be in set EWR, JFK, LGA (3 rows: request_id=" in said
    assert "feature_views 2013-06-05 to 2013-06-12 held back: flights of 2013-06-05 were refused" in said
    assert "training_rows 2013-06-05 to 2013-06-13 held back: flights of 2013-06-05 were refused" in said


def test_the_check_is_red_for_that_day_alone_and_is_the_latest(
    scene: Scene, corrupted: dg.ExecuteInProcessResult
) -> None:
    evaluations = [e for e in corrupted.get_asset_check_evaluations() if e.check_name == "flights_valid"]
    assert {date.fromisoformat(e.partition) for e in evaluations if e.passed} == ALL - {BAD}
    (red,) = [e for e in evaluations if not e.passed]
    assert evaluations[-1] is red
    assert (red.partition, red.blocking, red.severity) == ("2013-06-05", True, dg.AssetCheckSeverity.ERROR)
    metadata = {label: value.value for label, value in red.metadata.items()}
    assert metadata["day"] == "2013-06-05"
    (record,) = metadata["violations"].records
    assert (record.data["column"], record.data["rows"]) == ("origin", 3)
    assert record.data["rule"] == "values to be in set EWR, JFK, LGA"
    assert "origin=XXX" in str(record.data["examples"])
    assert Path(str(metadata["refused rows"])).exists()
    others = [e for e in corrupted.get_asset_check_evaluations() if e.check_name != "flights_valid"]
    assert all(e.passed for e in others)


def test_the_other_days_are_materialized_in_dagster_and_on_disk_and_only_those(
    scene: Scene, corrupted: dg.ExecuteInProcessResult
) -> None:
    assert materialized(corrupted) == WRITTEN
    assert scene.stored() == WRITTEN, "what followed from the day as it was before is gone"
    assert scene.days_in(scene.lake / "quarantine" / "flights") == {BAD}


def test_nothing_computes_around_the_refused_day(scene: Scene, corrupted: dg.ExecuteInProcessResult) -> None:
    for asset, day, passes in (
        ("feature_views", BAD + 7 * DAY, False),
        ("training_rows", BAD + 8 * DAY, False),
        ("training_rows", BAD + 9 * DAY, True),
    ):
        result = scene.run(scene.bad, partition_key=day.isoformat(), asset_selection=[dg.AssetKey(asset)])
        assert result.success == passes, day
        if not passes:
            assert f"{asset} {day} held back: flights of 2013-06-05 were refused" in failure(result)


def test_the_check_alone_looks_and_writes_nothing(scene: Scene, corrupted: dg.ExecuteInProcessResult) -> None:
    stored = scene.stored()
    key = dg.AssetCheckKey(dg.AssetKey("raw_flights"), "flights_valid")
    job = dg.define_asset_job("only_the_check", selection=dg.AssetSelection.checks(key))
    only = dg.Definitions.merge(load(), dg.Definitions(jobs=[job])).resolve_job_def(job.name)
    result = scene.run(scene.good, only, tags={"dagster/partition": BAD.isoformat()})
    (evaluation,) = result.get_asset_check_evaluations()
    assert (evaluation.passed, evaluation.partition) == (True, BAD.isoformat())
    assert result.get_asset_materialization_events() == []
    assert scene.stored() == stored


def test_a_repair_heals_everything(scene: Scene, corrupted: dg.ExecuteInProcessResult) -> None:
    healed = scene.run(scene.good)
    assert healed.success
    assert materialized(healed) == scene.stored() == dict.fromkeys(WRITTEN, ALL)
    assert scene.days_in(scene.lake / "quarantine" / "flights") == set()


def test_the_shell_sees_exit_code_1_and_the_reason(scene: Scene, tmp_path: Path) -> None:
    environment = {**os.environ, **QUIET, "PLATFORM_HOME": str(tmp_path), "DAGSTER_HOME": str(tmp_path / "dagster")}
    (tmp_path / "dagster").mkdir()
    command = [BIN / "dagster", "asset", "materialize", "-m", "orchestration.definitions"]
    command += ["--select", "raw_flights,raw_weather,feature_views,training_rows"]
    command += ["--partition-range", "2013-06-03...2013-06-06"]
    environment["FLIGHTS_SOURCE"] = str(scene.bad)
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "raw_flights 2013-06-05 refused: origin: values to be in set EWR, JFK, LGA (3 rows:" in done.stderr
    assert "feature_views 2013-06-05 to 2013-06-06 held back: flights of 2013-06-05 were refused" in done.stderr
    assert Scene.days_in(tmp_path / "lake" / "training") == {date(2013, 6, 3), date(2013, 6, 4)}
