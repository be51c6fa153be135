"""A real day of requests, served from what a writer left online: right ones pass, planted faults are found and named."""

import json
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import msgspec
import polars as pl
import pytest

from orchestration.features.live.events import Departure, micros
from orchestration.features.live.late import LateEvent, LateFiles
from orchestration.features.skew import facts, recompute
from orchestration.features.skew.__main__ import main
from orchestration.features.skew.files import write_report
from orchestration.features.skew.policy import DIFFERING_SHARE
from orchestration.features.skew.recompute import NotComputableError, skew_of
from orchestration.features.skew.report import SkewReport
from orchestration.features.skew.served import DEFAULT, GIVEN, UNKNOWN, newest_day
from orchestration.features.skew.table import compared, markdown
from orchestration.features.skew.verdict import judge_skew
from orchestration.features.views import BY_NAME, view_window
from serving_gateway.contracts.model import CountWithin, ModelContract, ShareWithin
from serving_gateway.control.store import RolloutStore
from tests.orchestration.features.skew.days import (
    DAY,
    TODAY,
    Record,
    Writer,
    answered,
    beside,
    contract_of,
    log,
    two_days,
    utc,
)
from tests.servers import free_port

pytestmark = pytest.mark.integration  # by its time: two days of real features
FROZEN_AT = utc("2013-02-13T15:00:00")
Features = dict[str, str]


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Path:
    lake = tmp_path_factory.mktemp("stored")
    two_days(lake)
    return lake


@pytest.fixture(scope="module")
def contract(stored: Path) -> ModelContract:
    return contract_of(stored)


@pytest.fixture(scope="module")
def right(stored: Path, contract: ModelContract) -> list[Record]:
    return answered(stored, contract)


@pytest.fixture
def lake(stored: Path, tmp_path: Path) -> Path:
    return beside(stored, tmp_path)


def check(lake: Path, contract: ModelContract, records: list[Record]) -> SkewReport:
    log(lake, records)
    return again(lake, contract)


def again(lake: Path, contract: ModelContract, day: date = TODAY) -> SkewReport:
    return skew_of(lake, day, {contract.digest: contract}.get, late_events=lake.parent / "features" / "late")


def changed(record: Record, **changes: object) -> Record:
    return msgspec.structs.replace(record, **changes)


def found(report: SkewReport) -> Features:
    """What differs, and what it looks like most."""
    return {feature.feature: feature.reasons[0].name for feature in report.differing}


def test_a_day_served_as_computed_is_exact_in_every_feature_and_row(
    lake: Path, contract: ModelContract, right: list[Record]
) -> None:
    report = check(lake, contract, right)
    assert [f.feature for f in report.features] == [i.name for i in contract.inputs]
    assert {(f.rows, f.exact, f.differing) for f in report.features} == {(len(right), len(right), 0)}
    assert len(right) > 400
    assert (report.logged, report.left_out) == (len(right), {})
    verdict = judge_skew(report)
    assert (verdict.outcome, verdict.reason) == ("pass", f"26 features of {len(right)} rows are as in training")


def of_view(name: str, change: Callable[[pl.DataFrame], pl.DataFrame]) -> Writer:
    return lambda view, rows: change(rows) if view == name else rows


def an_event_behind(rows: pl.DataFrame) -> pl.DataFrame:
    """Each row lacks the event that it was written for."""
    view = BY_NAME["carrier_origin_departures"]
    return rows.with_columns(pl.col(view.feature_names).shift(1).over(view.join_keys))


def without_the_newest(rows: pl.DataFrame) -> pl.DataFrame:
    """The last hour, up to the departure before."""
    return rows.with_columns(pl.col(BY_NAME["nyc_departures"].feature_names).shift(1))


def until_it_froze(rows: pl.DataFrame) -> pl.DataFrame:
    return rows.filter(pl.col("event_timestamp") <= FROZEN_AT)


PLANTED = {
    "a mean without the newest event": (
        of_view("carrier_origin_departures", an_event_behind),
        dict.fromkeys(("e_co_dep_ewm2h_mean", "e_co_dep_ewm2h_late"), "shifted window"),
    ),
    "an hour without the newest departure": (
        of_view("nyc_departures", without_the_newest),
        {"r_nyc_dep_1h_late_share": "shifted window"},
    ),
    "a delay in seconds": (
        of_view("tail_arrivals", lambda rows: rows.with_columns(pl.col("r_tail_last_arr_delay") * 60)),
        {"r_tail_last_arr_delay": "unit"},
    ),
    "a mean that is written no more": (
        of_view("origin_departures", until_it_froze),
        dict.fromkeys(("e_org_dep_ewm1h_mean", "e_org_dep_ewm1h_late"), "frozen view"),
    ),
    "a weather report that is written no more and expires": (
        of_view("origin_weather", until_it_froze),
        dict.fromkeys(("w_precip3", "w_visib", "w_wind_speed", "w_dpress"), "frozen view"),
    ),
    "a board that is written no more": (
        of_view("origin_board", until_it_froze),
        dict.fromkeys(("r_org_overdue_n", "r_org_overdue_share"), "frozen view"),
    ),
    "a carrier that was never written": (
        of_view("carrier_arrivals", lambda rows: rows.filter(pl.col("carrier") != "B6")),
        dict.fromkeys(("e_car_arr_ewm2h_mean", "e_car_arr_ewm2h_late"), "expired"),
    ),
    "a writer seven minutes behind": (
        of_view("dest_arrivals", lambda rows: rows.with_columns(applied_at=pl.col("event_timestamp") + timedelta(minutes=7))),
        dict.fromkeys(("e_dest_arr_ewm3h_mean", "e_dest_arr_ewm3h_late"), "stale row"),
    ),
    "a visibility that is something else": (
        of_view("origin_weather", lambda rows: rows.with_columns(pl.col("w_visib") ** 2 + 1)),
        {"w_visib": "unknown"},
    ),
}  # fmt: skip


@pytest.mark.parametrize(("writer", "features"), PLANTED.values(), ids=PLANTED)
def test_a_fault_of_the_writer_is_found_and_named(
    lake: Path, contract: ModelContract, writer: Writer, features: Features
) -> None:
    report = check(lake, contract, answered(lake, contract, writer))
    assert found(report) == features
    verdict = judge_skew(report)
    assert verdict.outcome == "fail"
    for name in features:
        assert name in verdict.reason


@pytest.mark.parametrize(
    ("bound", "by", "said"),
    [("after_s", -60, "window begins a minute later"), ("upto_s", 60, "window ends a minute earlier")],
    ids=["begins later", "ends earlier"],
)
def test_a_window_that_is_off_by_a_minute_in_the_gateway_is_named(
    lake: Path, contract: ModelContract, bound: str, by: int, said: str
) -> None:
    """The gateway evaluates one contract and says that it was another."""
    inputs = [
        msgspec.structs.replace(i, source=msgspec.structs.replace(i.source, **{bound: getattr(i.source, bound) + by}))
        if isinstance(i.source, CountWithin | ShareWithin)
        else i
        for i in contract.inputs
    ]
    wrong = msgspec.structs.replace(contract, inputs=tuple(inputs))
    records = [changed(record, contract_digest=contract.digest) for record in answered(lake, wrong)]
    report = check(lake, contract, records)
    # nobody was still there after three hours that day
    windows = ["r_org_overdue_share", "r_nyc_dep_1h_late_share"] + ["r_org_overdue_n"] * (bound == "upto_s")
    assert found(report) == dict.fromkeys(windows, "shifted window")
    assert all(said in feature.reasons[0].detail for feature in report.differing)


def test_minutes_that_were_served_as_seconds_are_a_unit(
    lake: Path, contract: ModelContract, right: list[Record]
) -> None:
    at = [i.name for i in contract.inputs].index("r_tail_min_since_arr")
    wrong = [changed(r, vector=[*r.vector[:at], r.vector[at] * 60, *r.vector[at + 1 :]]) for r in right]
    report = check(lake, contract, wrong)
    assert found(report) == {"r_tail_min_since_arr": "unit"}
    (feature,) = report.differing
    assert feature.reasons[0].detail == "served is 60 times offline"
    assert feature.largest is not None
    assert feature.largest.served == pytest.approx(60 * feature.largest.offline)  # type: ignore[operator]
    assert set(feature.largest.entities) == {"origin", "carrier", "dest", "tailnum"}
    assert 1 < len([n for n in feature.differing_by_hour if n]) <= 24
    assert sum(feature.differing_by_hour) == feature.differing


def test_an_event_that_came_late_explains_what_was_served_without_it(
    lake: Path, contract: ModelContract, stored: Path
) -> None:
    """Every departure of JFK from 15:00 to 18:00 reached the online store at 18:00, out of order."""
    first, last = FROZEN_AT, FROZEN_AT + timedelta(hours=3)
    late = (pl.col("origin") == "JFK") & pl.col("event_timestamp").is_between(first, last)

    def writer(view: str, rows: pl.DataFrame) -> pl.DataFrame:
        if view != "origin_departures":
            return rows
        return rows.with_columns(applied_at=pl.when(late).then(pl.lit(last)).otherwise("event_timestamp"))

    written = pl.read_parquet(stored / "features" / "origin_departures" / f"day={TODAY}.parquet").filter(late)
    told: dict[str, Any] = {"carrier": "B6", "origin": "JFK", "dest": "MCO", "tailnum": "N1"}
    came = [Departure(**told, request_id=f"{at}", sched_dep=at, at=at, delay=0.0) for at in written["event_timestamp"]]
    LateFiles(lake.parent / "features" / "late").append(
        [LateEvent(event=event, watermark_us=micros(last), applied=True) for event in came]
    )

    report = check(lake, contract, answered(lake, contract, writer))

    assert found(report) == dict.fromkeys(("e_org_dep_ewm1h_mean", "e_org_dep_ewm1h_late"), "late event")
    assert all(len(feature.reasons) == 1 for feature in report.differing)
    verdict = judge_skew(report)
    assert min(feature.share for feature in report.differing) > DIFFERING_SHARE
    assert verdict.outcome == "pass", "less than 5 %"
    assert verdict.reason.endswith(", 2 within their bounds")


def test_rows_that_cannot_be_recomputed_are_counted_apart(
    lake: Path, contract: ModelContract, right: list[Record]
) -> None:
    nan = [float("nan")] * len(contract.inputs)
    given = [changed(r, views=[], vector=nan, entities={}) for r in right[:5]]
    degraded = [changed(r, degraded=True, vector=nan) for r in right[5:8]]
    foreign = [changed(r, contract_digest="forgotten", vector=nan[:3]) for r in right[8:10]]
    report = check(lake, contract, [*given, *degraded, *foreign, *right[10:]])
    assert report.apart == {GIVEN: 5, DEFAULT: 3, UNKNOWN: 2}
    assert (report.rows, report.logged) == (len(right) - 10, len(right))
    assert report.differing == []
    told = "\n".join(compared(report))
    assert "apart: 3 rows of default: answered without the online store (`degraded`)" in told


def test_fields_of_the_request_are_compared_where_the_flight_is_known(
    lake: Path, contract: ModelContract, right: list[Record]
) -> None:
    at = [i.name for i in contract.inputs].index("s_sched_load")
    wrong = [changed(r, vector=[*r.vector[:at], r.vector[at] + 1, *r.vector[at + 1 :]]) for r in right]
    strangers = [changed(r, request_id=f"by hand {n}") for n, r in enumerate(wrong[:7])]
    report = check(lake, contract, [*strangers, *wrong[7:]])
    (feature,) = report.differing
    assert (feature.feature, feature.differing, feature.rows) == ("s_sched_load", len(right) - 7, len(right) - 7)
    assert report.left_out["s_sched_load"] == "7 rows: their request id is no known flight"
    assert "left out of s_carrier, s_origin, s_dow" in "\n".join(compared(report))


def test_what_the_offline_store_does_not_have_is_left_out_and_said(
    lake: Path, contract: ModelContract, right: list[Record]
) -> None:
    (lake / "training").unlink()
    older = [changed(r, entities={k: v for k, v in r.entities.items() if k != "tailnum"}) for r in right]
    report = check(lake, contract, older)
    assert report.differing == []
    assert report.left_out["s_dow"] == "no training rows of the day are stored"
    assert report.left_out["r_tail_min_since_dep"].startswith("the offline store has no such feature")
    assert {f.feature for f in report.features} == {i.name for i in contract.inputs} - set(report.left_out)


def test_a_day_whose_features_are_not_there_says_what_to_do(
    lake: Path, contract: ModelContract, right: list[Record]
) -> None:
    day_us = int(DAY.total_seconds() * 1e6)
    log(lake, [changed(r, event_time_us=r.event_time_us + day_us) for r in right])
    with pytest.raises(NotComputableError, match=r"2013-02-14 has no offline values: .*; run ingest_and_compute"):
        again(lake, contract, TODAY + DAY)


def test_the_newest_day_is_one_that_can_be_computed(lake: Path, right: list[Record]) -> None:
    assert newest_day(lake) is None
    log(lake, [changed(right[0], event_time_us=int(view_window(TODAY, TODAY + DAY)[1].timestamp() * 1e6))])
    assert newest_day(lake) == TODAY + DAY, "the last hour before midnight is the next day's"
    log(lake, right)
    assert newest_day(lake) == TODAY


def test_chunks_and_spaced_rows_tell_the_same(
    lake: Path, contract: ModelContract, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer = PLANTED["a delay in seconds"][0]
    whole = check(lake, contract, answered(lake, contract, writer))
    monkeypatch.setattr(recompute, "CHUNK_ROWS", 100)
    monkeypatch.setattr(recompute, "WINDOW", timedelta(hours=7))
    monkeypatch.setattr(facts, "EXPLAINED_ROWS", 20)
    chunked = again(lake, contract)
    assert chunked.rows == whole.rows
    assert found(chunked) == found(whole) == {"r_tail_last_arr_delay": "unit"}
    assert chunked.differing[0].reasons[0].rows == pytest.approx(chunked.differing[0].differing)
    without_causes = [
        [msgspec.structs.replace(feature, reasons=[]) for feature in report.features] for report in (chunked, whole)
    ]
    assert without_causes[0] == without_causes[1]


def test_the_report_is_a_table_and_a_file(lake: Path, contract: ModelContract, tmp_path: Path) -> None:
    report = check(lake, contract, answered(lake, contract, PLANTED["a carrier that was never written"][0]))
    table = [line for line in markdown(report).splitlines() if line.startswith("| ")]
    assert len(table) == 2 + 26
    assert table[2].startswith("| e_car_arr_ewm2h_")
    assert "| missing |" in table[2], "what was served"
    path = write_report(tmp_path / "reports", report, judge_skew(report))
    document = json.loads(path.read_bytes())
    assert path.name == "2013-02-13.json"
    assert document["verdict"]["outcome"] == "fail"
    assert msgspec.convert(document["report"], SkewReport) == report


@pytest.fixture
def home(lake: Path, contract: ModelContract, redis_url: str, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A platform whose rollout store knows the contract."""
    monkeypatch.setenv("PLATFORM_HOME", str(lake.parent))
    monkeypatch.setenv("COLUMNS", "160")
    monkeypatch.setenv("REDIS_URL", redis_url)
    RolloutStore.connect(redis_url).put_contract(contract)
    return lake.parent


def test_the_command_says_pass_fail_and_what_to_do(
    home: Path, lake: Path, contract: ModelContract, right: list[Record], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([]) == 2
    assert "run the job land_predictions" in capsys.readouterr().out
    assert main(["2013-02-14"]) == 2
    assert "no prediction was logged from 2013-02-13T23:00" in capsys.readouterr().out
    log(lake, right)
    assert main([]) == 0
    said = capsys.readouterr().out
    assert "Verdict: pass, 26 features" in said
    assert "r_nyc_dep_1h_late_share" in said
    log(lake, answered(lake, contract, PLANTED["a delay in seconds"][0]))
    assert main(["2013-02-13"]) == 1
    said = capsys.readouterr().out
    assert "Verdict: fail, 1 of 26 features differ: r_tail_last_arr_delay (5" in said
    assert "looks like unit" in said


def test_the_command_says_what_is_away_and_what_is_no_day(
    home: Path, right: list[Record], lake: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    log(lake, right)
    monkeypatch.setenv("REDIS_URL", f"redis://127.0.0.1:{free_port()}/0")
    assert main([]) == 2
    assert "Redis, which has the contracts, cannot be read" in capsys.readouterr().err
    with pytest.raises(SystemExit) as ended:
        main(["yesterday"])
    assert ended.value.code == 2
    assert "write YYYY-MM-DD" in capsys.readouterr().err


def test_event_times_between_seconds_are_exact_too(lake: Path, contract: ModelContract) -> None:
    """As they come in production: minutes since are made of microseconds, an age is a float of seconds."""
    report = check(lake, contract, answered(lake, contract, after=timedelta(seconds=17, microseconds=123457)))
    assert {f.rows - f.exact for f in report.features} == {0}
    behind = check(
        lake,
        contract,
        answered(lake, contract, PLANTED["a writer seven minutes behind"][0], after=timedelta(microseconds=1)),
    )
    assert found(behind) == PLANTED["a writer seven minutes behind"][1]
