"""The drift report as Dagster runs it, over real days: a blizzard is a warning, a day like others is none."""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import dagster as dg
import polars as pl
import pytest

from orchestration.features.compute import write_features
from orchestration.features.inputs import model_inputs, vectors, vocabularies
from orchestration.features.training import read_training, write_training
from orchestration.features.views import view_window
from orchestration.ingestion.predictions import PREDICTION_SCHEMA
from orchestration.rollout.act import serve_baseline
from orchestration.training.contract import build_contract
from serving_gateway.contracts import ModelContract
from serving_gateway.contracts.rollout import Arm
from serving_gateway.control.store import RolloutStore
from tests.orchestration.features.lakes import raw_lake

pytestmark = pytest.mark.integration
DAY = timedelta(days=1)
FIRST, TRAINED_UNTIL, END = date(2013, 1, 10), date(2013, 2, 7), date(2013, 2, 13)
BLIZZARD, CALM = date(2013, 2, 9), date(2013, 2, 12)


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
    return folder


def contract_of(lake: Path) -> ModelContract:
    start, end = view_window(FIRST, TRAINED_UNTIL)
    inputs = model_inputs(vocabularies(read_training(lake / "training", FIRST, TRAINED_UNTIL)))
    return build_contract(b"", version="1", run_id="0", inputs=inputs, views=(), training_start=start, training_end=end)


def log(lake: Path, day: date) -> None:
    """The day's flights as a gateway would have logged them."""
    contract, rows = contract_of(lake), read_training(lake / "training", day, day + DAY)
    made = vectors(rows, contract.inputs).tolist()
    logged = [
        {
            "prediction_id": request_id, "request_id": request_id, "event_time": at, "served_at": at,
            "contract_digest": contract.digest, "vector": vector,
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
    (check,) = result.get_asset_check_evaluations()
    assert (check.passed, check.metadata["outcome"].value) == (True, "inconclusive")
    assert reason in str(check.metadata["reason"].value)
    (made,) = result.asset_materializations_for_node("drift_report")
    assert reason in str(made.metadata["verdict"].value)
    assert (made.metadata["rows"].value == 0) == (made.metadata["report"].value == "none")


@pytest.mark.parametrize(("day", "outcome"), [(BLIZZARD, "fail"), (CALM, "pass")])
def test_the_check_warns_of_a_blizzard_and_stops_nothing(
    home: Path, store: RolloutStore, day: date, outcome: str
) -> None:
    contract, now = contract_of(home / "lake"), view_window(day, day + DAY)[1]

    result = report(store, now)

    assert result.success
    (check,) = result.get_asset_check_evaluations()
    said = {name: value.value for name, value in check.metadata.items()}
    assert (check.passed, check.severity) == (outcome == "pass", dg.AssetCheckSeverity.WARN), said
    assert (said["outcome"], said["as_of"]) == (outcome, now.isoformat())
    assert f"of {len(contract.inputs)} features drifted" in said["reason"]
    (made,) = result.asset_materializations_for_node("drift_report")
    table = made.metadata["PSI by feature"].value
    assert len(table.records) == len(contract.inputs)  # type: ignore[union-attr]
    assert sum(record.data["drifted"] for record in table.records) == round(said["drifted share"] * 26)  # type: ignore[union-attr]
    assert made.metadata["plot"].value.startswith("![plot](data:image/png;base64,")  # type: ignore[union-attr]
    assert (home / "reports" / "drift" / "latest.html").resolve().stem == f"{now:%Y-%m-%dT%H%M}"
