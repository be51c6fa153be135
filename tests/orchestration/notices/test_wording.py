"""What a notice says of a failed run and of a gateway's trip."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from orchestration.notices.wording import (
    FailedCheck,
    FailedRun,
    data_alarm,
    failed_run,
    gateway_trip,
    unreadable_change,
)
from serving_gateway.contracts.rollout import Arm, Arms, RolloutState

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
URL = "http://127.0.0.1:3000/runs/1"


def run(job: str = "ingest_and_compute", *checks: FailedCheck, step: str = "raw_flights") -> FailedRun:
    return FailedRun(job, URL, step, "the disk is full", checks, NOW)


def test_a_failed_run_names_job_step_error_and_address() -> None:
    told = failed_run(run())
    assert (told.severity, told.title) == ("SEV3", "Run of ingest_and_compute failed")
    assert told.text == "step raw_flights: the disk is full"
    assert (told.link, told.time) == (URL, NOW)
    assert failed_run(run(step="")).text == "the disk is full"


def test_a_failed_check_says_what_it_found() -> None:
    found = FailedCheck("raw_flights", "flights_valid", {"column": "origin", "rule": "in set", "count": "7", "x": "y"})
    told = failed_run(run("ingest_and_compute", found))
    assert told.text.splitlines()[1] == "check flights_valid on raw_flights failed: column origin; rule in set; count 7"
    silent = failed_run(run("ingest_and_compute", FailedCheck("a", "c", {})))
    assert silent.text.splitlines()[1] == "check c on a failed: see the run"


@pytest.mark.parametrize(
    ("told", "severity"),
    [
        (run(), "SEV3"),
        (run("judge_canary", FailedCheck("canary_verdict", "canary_is_no_worse", {})), "SEV2"),
        (run("ingest_and_compute", FailedCheck("raw_flights", "flights_valid", {})), "SEV3"),
        (run("rollback"), "SEV1"),
    ],
)
def test_the_severity_follows_what_is_at_stake(told: FailedRun, severity: str) -> None:
    assert failed_run(told).severity == severity


def test_a_hook_that_could_not_act_on_the_failure_is_urgent_and_told() -> None:
    """The verdict's hook takes a convicted canary's traffic: where it fails, gateways may still send it requests."""
    told = failed_run(replace(run("judge_canary"), hooks=("on canary_verdict failed: TimeoutError: east lags",)))
    assert told.severity == "SEV1"
    assert told.text.splitlines()[-1] == "hook on canary_verdict failed: TimeoutError: east lags"


def test_an_unreadable_change_is_named() -> None:
    told = unreadable_change("drift:audit 7-0 in Redis is unreadable: x", URL, NOW)
    assert (told.severity, told.link, told.time) == ("SEV3", URL, NOW)
    assert "drift:audit 7-0" in told.text


def test_a_data_alarm_names_what_it_found_and_that_nothing_is_rolled_back() -> None:
    told = data_alarm("nulls", "w_visib is null in 80.0% of the rows", URL, NOW)
    assert (told.severity, told.title, told.link, told.time) == ("SEV3", "Data alarm: nulls", URL, NOW)
    assert told.text.startswith("w_visib is null in 80.0% of the rows. ")
    assert "nothing is rolled back" in told.text


def test_a_trip_names_canary_gateway_reason_and_who_answers() -> None:
    good, bad = (Arm(model="m", version=v, triton_model=f"m_v{v}", contract_digest="d") for v in "12")
    state = RolloutState(
        epoch=1, generation=7, phase="rolled_back", arms=Arms(baseline=good, canary=bad),
        reason="10 canary requests failed in a row", actor="gateway:east-8000", time=NOW.isoformat(),
    )  # fmt: skip
    told = gateway_trip(state, "http://127.0.0.1:8000/rollout")
    assert told.severity == "SEV2"
    assert told.title == "m_v2 was stopped by gateway:east-8000"
    assert told.text == "10 canary requests failed in a row. m_v1 answers everything since epoch 1, generation 7."
    assert (told.link, told.time) == ("http://127.0.0.1:8000/rollout", NOW)
