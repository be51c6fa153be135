"""Where labels come from: reports before the lake, each prediction once, nothing before it is known."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl

from orchestration.ingestion.partitions import partition_path
from orchestration.ingestion.predictions import FEEDBACK_SCHEMA
from orchestration.rollout.ground_truth import labels_of
from serving_gateway.identifiers import uuid7

NOON = datetime(2013, 5, 2, 12, tzinfo=UTC)
SERVED = datetime(2026, 3, 1, 12, tzinfo=UTC)  # a replay answers long after the event
IDS = [uuid7(int(SERVED.timestamp() * 1000) + i) for i in range(4)]


def predictions(*requests: str) -> pl.DataFrame:
    rows = [(IDS[at], request, NOON) for at, request in enumerate(requests)]
    return pl.DataFrame(rows, schema=["prediction_id", "request_id", "event_time"], orient="row")


def flights(lake: Path, *rows: tuple[str, int]) -> None:
    path = partition_path(lake / "training", NOON.date())
    path.parent.mkdir(parents=True)
    frame = pl.DataFrame(rows, schema={"request_id": pl.String, "label": pl.Int8}, orient="row")
    frame.with_columns(sched_dep=pl.lit(NOON + timedelta(hours=1)).cast(pl.Datetime("us", "UTC"))).write_parquet(path)


def reported(lake: Path, *rows: tuple[int, bool, datetime]) -> None:
    folder = lake / "feedback" / f"day={SERVED.date()}"
    folder.mkdir(parents=True)
    documents = [(IDS[at], outcome, observed, SERVED) for at, outcome, observed in rows]
    pl.DataFrame(documents, schema=FEEDBACK_SCHEMA, orient="row").write_parquet(folder / "1.parquet")


def labels(lake: Path, asked: pl.DataFrame, now: datetime = NOON + timedelta(days=1)) -> dict[str, int]:
    return dict(labels_of(lake, asked, now).select("prediction_id", "label").iter_rows())


def test_a_report_goes_before_the_lake_and_the_lake_fills_what_nobody_reported(tmp_path: Path) -> None:
    flights(tmp_path, ("r0", 0), ("r1", 1))
    reported(tmp_path, (0, True, NOON + timedelta(hours=2)))
    assert labels(tmp_path, predictions("r0", "r1", "r2")) == {IDS[0]: 1, IDS[1]: 1}


def test_without_reports_labels_are_the_lakes_and_without_a_lake_the_reports(tmp_path: Path) -> None:
    flights(tmp_path / "lake", ("r0", 1))
    assert labels(tmp_path / "lake", predictions("r0")) == {IDS[0]: 1}
    reported(tmp_path / "reports", (0, False, NOON))
    assert labels(tmp_path / "reports", predictions("r0")) == {IDS[0]: 0}
    assert labels(tmp_path / "nothing", predictions("r0")) == {}


def test_a_report_from_later_is_not_known_yet(tmp_path: Path) -> None:
    flights(tmp_path, ("r0", 0))
    reported(tmp_path, (0, True, NOON + timedelta(hours=2)))
    assert labels(tmp_path, predictions("r0"), now=NOON + timedelta(minutes=119)) == {IDS[0]: 0}


def test_a_reported_row_matures_when_a_flights_does_whatever_its_outcome(tmp_path: Path) -> None:
    """The order of the evidence must not follow the news: both outcomes count from the same instant after the request."""
    flights(tmp_path, ("r0", 0))
    early, late = NOON + timedelta(minutes=1), NOON + timedelta(hours=3)
    reported(tmp_path, (1, True, early), (2, False, late))
    found = labels_of(tmp_path, predictions("r0", "r1", "r2"), NOON + timedelta(days=1))
    assert set(found["matures_at"]) == {NOON + timedelta(minutes=75)}


def test_rows_of_a_batch_are_things_of_their_own_where_reported_and_one_flight_where_not(tmp_path: Path) -> None:
    flights(tmp_path, ("flight", 1))
    reported(tmp_path, (2, True, NOON), (3, False, NOON))
    found = labels_of(tmp_path, predictions("flight", "flight", "batch", "batch"), NOON + timedelta(days=1))
    assert dict(found.select("prediction_id", "subject").iter_rows()) == {
        IDS[0]: "flight", IDS[1]: "flight", IDS[2]: IDS[2], IDS[3]: IDS[3],
    }  # fmt: skip
