"""The skew report as Dagster runs it, over a real day: right, with a planted fault, and without anything to compare."""

import json
from pathlib import Path

import dagster as dg
import polars as pl
import pytest

from orchestration.defs.skew import SkewConfig, skew_report
from serving_gateway.control.store import RolloutStore
from tests.orchestration.features.skew.days import TODAY, answered, beside, contract_of, log, two_days

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Path:
    lake = tmp_path_factory.mktemp("stored")
    two_days(lake)
    return lake


@pytest.fixture
def lake(stored: Path, tmp_path: Path, redis_url: str, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The lake of a platform whose rollout store knows the contract."""
    monkeypatch.setenv("PLATFORM_HOME", str(tmp_path))
    monkeypatch.setenv("REDIS_URL", redis_url)
    RolloutStore.connect(redis_url).put_contract(contract_of(stored))
    return beside(stored, tmp_path)


def checked(day: str = "") -> tuple[dict[str, dg.MetadataValue], dg.AssetCheckEvaluation]:
    config = dg.RunConfig({"skew_report": SkewConfig(day=day)})
    result = dg.materialize([skew_report], instance=dg.DagsterInstance.ephemeral(), run_config=config)
    assert result.success, "an alarm stops nothing"
    (made,) = result.asset_materializations_for_node("skew_report")
    (check,) = result.get_asset_check_evaluations()
    return dict(made.metadata), check


@pytest.mark.parametrize(
    ("day", "reason"),
    [("", "run the job land_predictions"), ("2013-02-13", "no prediction was logged from 2013-02-12")],
)
def test_where_nothing_can_be_told_it_warns_and_does_not_pass(lake: Path, day: str, reason: str) -> None:
    made, check = checked(day)
    assert (check.passed, check.severity) == (False, dg.AssetCheckSeverity.WARN)
    assert check.metadata["outcome"].value == "inconclusive"
    assert reason in str(made["verdict"].value)


def test_a_day_that_is_no_day_is_refused(lake: Path) -> None:
    with pytest.raises(dg.Failure, match="YYYY-MM-DD"):
        checked("yesterday")


def test_a_right_day_passes_with_its_table(lake: Path) -> None:
    log(lake, answered(lake, contract_of(lake)))
    made, check = checked()
    assert check.passed
    assert (check.metadata["outcome"].value, check.metadata["day"].value) == ("pass", str(TODAY))
    assert made["differing features"].value == "none"
    assert made["rows"].value == made["logged"].value
    assert str(made["features"].value).count("\n| ") == 2 + 26
    assert "plot" not in made


def in_seconds(view: str, rows: pl.DataFrame) -> pl.DataFrame:
    return rows.with_columns(pl.col("r_tail_last_arr_delay") * 60) if view == "tail_arrivals" else rows


def test_a_planted_fault_is_an_error_with_feature_cause_and_report(lake: Path) -> None:
    log(lake, answered(lake, contract_of(lake), in_seconds))
    made, check = checked(str(TODAY))
    assert (check.passed, check.severity) == (False, dg.AssetCheckSeverity.ERROR)
    assert "1 of 26 features differ: r_tail_last_arr_delay" in str(check.metadata["reason"].value)
    assert "looks like unit" in str(check.metadata["reason"].value)
    assert made["differing features"].value == "r_tail_last_arr_delay"
    assert str(made["plot"].value).startswith("![plot](data:image/png;base64,")
    assert "served is 60 times offline" in str(made["features"].value)
    written = lake.parent / "reports" / "skew" / "2013-02-13.json"
    assert str(made["report"].value).endswith("/skew/2013-02-13.json")
    assert json.loads(written.read_bytes())["verdict"]["outcome"] == "fail"
    gauges = lake.parent / "reports" / "prometheus" / "skew.prom.txt"
    assert 'skew_verdict{outcome="fail"} 1.0' in gauges.read_text()
