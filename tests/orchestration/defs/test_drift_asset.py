"""The drift report as Dagster runs it, over real days: a blizzard is a warning, a day like others is none."""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import dagster as dg
import polars as pl
import pytest
from prometheus_client.parser import text_string_to_metric_families

from orchestration.features.compute import write_features
from orchestration.features.inputs import model_inputs, vectors, vocabularies
from orchestration.features.training import read_training, write_training
from orchestration.features.views import view_window
from orchestration.ingestion.predictions import PREDICTION_SCHEMA
from orchestration.notices.journal import read
from orchestration.rollout.act import serve_baseline
from orchestration.settings import Settings
from orchestration.training.contract import build_contract
from serving_gateway.contracts import ModelContract
from serving_gateway.contracts.rollout import Arm
from serving_gateway.control.store import RolloutStore
from tests.orchestration.features.lakes import raw_lake

pytestmark = pytest.mark.integration
DAY = timedelta(days=1)
FIRST, TRAINED_UNTIL, END = date(2013, 1, 10), date(2013, 2, 7), date(2013, 2, 13)
BLIZZARD, BROKEN, CALM = date(2013, 2, 9), date(2013, 2, 11), date(2013, 2, 12)
# Of every view one, and of the request: Evidently draws a feature a fifth of a second long.
INPUTS = (
    "s_carrier",
    "s_distance",
    "w_visib",
    "e_org_dep_ewm1h_mean",
    "r_tail_last_arr_delay",
    "r_org_overdue_n",
    "r_nyc_dep_1h_late_share",
)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four weeks to learn from, and the days after them as logged requests."""
    folder = tmp_path_factory.mktemp("home")
    lake = folder / "lake"
    raw_lake(lake, FIRST, END)
    write_features(lake, FIRST, END)
    write_training(lake, FIRST, END)
    for day in (BLIZZARD, CALM):
        log(lake, day)
    log(lake, BROKEN, seconds_for_minutes=True)
    return folder


def contract_of(lake: Path) -> ModelContract:
    start, end = view_window(FIRST, TRAINED_UNTIL)
    known = model_inputs(vocabularies(read_training(lake / "training", FIRST, TRAINED_UNTIL)))
    inputs = tuple(i for i in known if i.name in INPUTS)
    return build_contract(b"", version="1", run_id="0", inputs=inputs, views=(), training_start=start, training_end=end)


def log(lake: Path, day: date, *, seconds_for_minutes: bool = False) -> None:
    """The day's flights as a gateway would have logged them."""
    contract, rows = contract_of(lake), read_training(lake / "training", day, day + DAY)
    if seconds_for_minutes:
        rows = rows.with_columns(pl.col("r_tail_last_arr_delay") * 60)
    made = vectors(rows, contract.inputs).tolist()
    fresh = [{"view": "origin_board", "status": "present", "age_s": 30.0}]
    logged = [
        {
            "prediction_id": request_id, "request_id": request_id, "event_time": at, "served_at": at,
            "contract_digest": contract.digest, "vector": vector, "views": fresh,
        }
        for request_id, at, vector in zip(rows["request_id"], rows["event_timestamp"], made, strict=True)
    ]  # fmt: skip
    folder = lake / "predictions" / f"day={day}"
    folder.mkdir(parents=True)
    pl.DataFrame(logged, schema=PREDICTION_SCHEMA).write_parquet(folder / "1.parquet")


@pytest.fixture
def store(home: Path, redis_url: str, monkeypatch: pytest.MonkeyPatch) -> RolloutStore:
    """The model of the four weeks is the baseline of this home."""
    monkeypatch.setenv("PLATFORM_HOME", str(home))
    monkeypatch.setenv("REDIS_URL", redis_url)
    monkeypatch.setenv("EVENT_CLOCK", "replay")
    served, contract = RolloutStore.connect(redis_url), contract_of(home / "lake")
    arm = Arm(model="m", version="1", triton_model="m_v1", contract_digest=served.put_contract(contract))
    serve_baseline(served, arm, actor="test", now=datetime.now(UTC))
    return served


def report(store: RolloutStore, now: datetime, hours: int = 24) -> dg.ExecuteInProcessResult:
    from orchestration.defs.drift import DriftConfig, drift_report

    store.advance_clock(now)
    config = dg.RunConfig({"drift_report": DriftConfig(hours=hours)})
    return dg.materialize([drift_report], instance=dg.DagsterInstance.ephemeral(), run_config=config)


def checks(result: dg.ExecuteInProcessResult) -> dict[str, dg.AssetCheckEvaluation]:
    return {check.check_name: check for check in result.get_asset_check_evaluations()}


@pytest.mark.parametrize(
    ("hours", "now", "reason"),
    [
        (24, datetime(2013, 6, 1, tzinfo=UTC), "no request was logged from 2013-05-31"),
        (24 * 60, view_window(CALM, CALM + DAY)[1], "what is usual is unknown"),
    ],
    ids=["no traffic", "no past window"],
)
def test_where_nothing_can_be_told_the_run_succeeds_and_says_so(
    store: RolloutStore, hours: int, now: datetime, reason: str
) -> None:
    result = report(store, now, hours)
    assert result.success
    check = checks(result)["inputs_have_not_drifted"]
    assert (check.passed, check.metadata["outcome"].value) == (True, "inconclusive")
    assert reason in str(check.metadata["reason"].value)
    (made,) = result.asset_materializations_for_node("drift_report")
    assert reason in str(made.metadata["verdict"].value)
    assert (made.metadata["rows"].value == 0) == (made.metadata["report"].value == "none")


@pytest.mark.parametrize(("day", "outcome"), [(BLIZZARD, "fail"), (CALM, "pass")])
def test_the_check_warns_of_a_blizzard_and_stops_nothing(
    home: Path, store: RolloutStore, day: date, outcome: str
) -> None:
    now = view_window(day, day + DAY)[1]
    result = report(store, now)

    assert result.success
    check = checks(result)["inputs_have_not_drifted"]
    said = {name: value.value for name, value in check.metadata.items()}
    assert (check.passed, check.severity) == (outcome == "pass", dg.AssetCheckSeverity.WARN), said
    assert (said["outcome"], said["as_of"]) == (outcome, now.isoformat())
    assert f"of {len(INPUTS)} features drifted" in said["reason"]
    (made,) = result.asset_materializations_for_node("drift_report")
    table = made.metadata["PSI by feature"].value
    assert len(table.records) == len(INPUTS)  # type: ignore[union-attr]
    assert sum(record.data["drifted"] for record in table.records) == round(said["drifted share"] * len(INPUTS))  # type: ignore[union-attr]
    assert made.metadata["plot"].value.startswith("![plot](data:image/png;base64,")  # type: ignore[union-attr]
    assert (home / "reports" / "drift" / "latest.html").resolve().stem == f"{now:%Y-%m-%dT%H%M}"


def test_a_wrong_unit_is_a_data_alarm_and_one_notice_and_a_day_like_others_is_none(
    home: Path, store: RolloutStore
) -> None:
    notices = Settings.load().notices
    notices.unlink(missing_ok=True)
    assert all(check.passed for check in checks(report(store, view_window(CALM, CALM + DAY)[1])).values())
    assert not notices.exists()

    for _ in range(2):  # a report that is made again says nothing new
        broken = checks(report(store, view_window(BROKEN, BROKEN + DAY)[1]))

    check = broken["values_in_range"]
    assert (check.passed, check.severity) == (False, dg.AssetCheckSeverity.WARN)
    assert "r_tail_last_arr_delay is out of range" in str(check.metadata["reason"].value)
    assert broken["nulls_are_usual"].passed
    assert broken["features_served_fresh"].passed
    (notice,) = read(notices).notices
    assert notice.title == "Data alarm: ranges"
    assert notice.link.endswith("/drift/2013-02-11T2300.html")


def test_a_week_is_a_report_of_its_own_with_gauges_and_a_page_that_opens_on_the_answer(
    home: Path, store: RolloutStore
) -> None:
    now = view_window(CALM, CALM + DAY)[1]
    result = report(store, now, hours=168)
    (made,) = result.asset_materializations_for_node("drift_report")
    assert str(made.metadata["report"].value).endswith("/drift/2013-02-12T2300-week.html")
    answer = (home / "reports" / "drift" / "2013-02-12T2300-week.html").read_text().split("<body>")[1]
    assert answer.startswith("<title>Drift, 2013-02-12T2300-week</title>")
    assert "m_v1 is the baseline; the rollout is stable since" not in answer, "it is named as the contract names it"
    assert "flight_delay_v1 is the baseline; the rollout is stable since" in answer
    gauges = {
        (sample.name, sample.labels.get("check")): sample.value
        for family in text_string_to_metric_families(
            (home / "reports" / "prometheus" / "drift-168h.prom.txt").read_text()
        )
        for sample in family.samples
        if sample.value and sample.name in ("drift_verdict", "drift_rows", "drift_window_end_timestamp_seconds")
    }
    assert gauges[("drift_rows", None)] == made.metadata["rows"].value
    assert gauges[("drift_window_end_timestamp_seconds", None)] == now.timestamp()
    assert {check for name, check in gauges if name == "drift_verdict"} == {"inputs", "nulls", "ranges", "freshness"}
