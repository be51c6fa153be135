"""What a report of ground truth may look like, and what the log keeps of it."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving_gateway.contracts.prediction import FeedbackRecord
from serving_gateway.feedback import FeedbackParser, records
from serving_gateway.http import ApiError
from serving_gateway.identifiers import uuid7

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
NOW_US = int(NOW.timestamp() * 1e6)
ID = "019ca944-1fa0-7c8b-8fea-520fb384fb9a"  # made a minute before NOW; a literal, for tests are named after it
OTHER = uuid7(NOW_US // 1000 - 50_000)
FUTURE = uuid7(NOW_US // 1000 + 2 * 86_400_000)
VERSION_4 = "7c9e6679-7425-40de-944b-e07fc1f90ae7"


def kept(document: object, *, replay: bool = False, max_rows: int = 3) -> list[FeedbackRecord]:
    body = document if isinstance(document, bytes) else json.dumps(document).encode()
    reports = FeedbackParser(max_rows).parse(body)
    return records(reports, received_us=NOW_US, event_now_us=lambda: NOW_US - 5, replay=replay)


def record(outcome: bool, observed_us: int = NOW_US - 5, name: str = ID) -> FeedbackRecord:
    return FeedbackRecord(prediction_id=name, outcome=outcome, observed_at_us=observed_us, received_at_us=NOW_US)


@pytest.mark.parametrize(("sent", "outcome"), [(True, True), (False, False), (1, True), (0, False), (1.0, True)])
def test_an_outcome_is_a_truth_value_or_a_zero_or_a_one(sent: object, outcome: bool) -> None:
    assert kept({"prediction_id": ID, "outcome": sent}) == [record(outcome)]
    assert kept({"feedback": [{"prediction_id": ID, "outcome": sent}]}) == [record(outcome)]


@pytest.mark.parametrize("written", ["2026-03-01T11:00:00Z", "2026-03-01T12:00:00+01:00", "2026-03-01T11:00:00.000Z"])
def test_a_time_of_observation_is_kept_in_utc(written: str) -> None:
    assert kept({"prediction_id": ID, "outcome": 1, "observed_at": written}) == [record(True, NOW_US - 3600 * 10**6)]


def test_an_id_may_come_back_in_capitals() -> None:
    assert kept({"prediction_id": ID.upper(), "outcome": 1}) == [record(True)]


def test_a_batch_keeps_its_order_and_the_same_report_once() -> None:
    rows = [
        {"prediction_id": OTHER, "outcome": 0},
        {"prediction_id": ID, "outcome": 1},
        {"prediction_id": OTHER, "outcome": 0},
    ]
    assert kept({"feedback": rows}) == [record(False, name=OTHER), record(True)]


def test_a_correction_may_come_with_what_it_corrects() -> None:
    first, second = "2026-03-01T10:00:00Z", "2026-03-01T11:00:00Z"
    rows = [{"prediction_id": ID, "outcome": o, "observed_at": at} for o, at in ((0, first), (1, second))]
    assert [r.outcome for r in kept({"feedback": rows})] == [False, True]


def rows(*further: dict[str, Any]) -> dict[str, Any]:
    return {"feedback": [{"prediction_id": OTHER, "outcome": 1}, *further]}


REFUSED = [
    (b"", "$", "not JSON"),
    (b"\xff", "$", "not JSON"),
    (b"[" * 100_000, "$", ""),
    (b'{"prediction_id": "\xff"}', "$", "UTF-8"),
    ([], "$", "Expected `object`"),
    ({}, "$.prediction_id", "missing"),
    ({"prediction_id": ID}, "$.outcome", "missing"),
    ({"outcome": 1}, "$.prediction_id", "missing"),
    ({"prediction_id": ID, "outcome": 2}, "$.outcome", "<= 1"),
    ({"prediction_id": ID, "outcome": -1}, "$.outcome", ">= 0"),
    ({"prediction_id": ID, "outcome": 0.5}, "$.outcome", "a whole number"),
    ({"prediction_id": ID, "outcome": None}, "$.outcome", "got `null`"),
    ({"prediction_id": ID, "outcome": "1"}, "$.outcome", "got `str`"),
    (b'{"prediction_id": "%b", "outcome": NaN}' % ID.encode(), "$", "not JSON"),
    ({"prediction_id": 7, "outcome": 1}, "$.prediction_id", "Expected `str`"),
    ({"prediction_id": "", "outcome": 1}, "$.prediction_id", "not a prediction id"),
    ({"prediction_id": ID + "\n", "outcome": 1}, "$.prediction_id", "not a prediction id"),
    ({"prediction_id": ID.replace("-", ""), "outcome": 1}, "$.prediction_id", "not a prediction id"),
    ({"prediction_id": VERSION_4, "outcome": 1}, "$.prediction_id", "not a prediction id"),
    ({"prediction_id": FUTURE, "outcome": 1}, "$.prediction_id", "in the future"),
    ({"prediction_id": ID, "outcome": 1, "observed_at": "2026-03-01T11:00:00"}, "$.observed_at", "timezone"),
    ({"prediction_id": ID, "outcome": 1, "observed_at": 1767225600}, "$.observed_at", "Expected `datetime`"),
    ({"prediction_id": ID, "outcome": 1, "observed_at": "2026-03-01T12:02:00Z"}, "$.observed_at", "in the future"),
    ({"prediction_id": ID, "outcome": 1, "label": 1}, "$.label", "unknown field"),
    ({"feedback": []}, "$.feedback", "length >= 1"),
    ({"feedback": {}}, "$.feedback", "Expected `array`"),
    ({"feedback": [{"prediction_id": ID, "outcome": 1}] * 4}, "$.feedback", "length <= 3"),
    ({**rows(), "prediction_id": ID}, "$.prediction_id", "unknown field"),
    (rows({"prediction_id": ID}), "$.feedback[1].outcome", "missing"),
    (rows({"prediction_id": VERSION_4, "outcome": 1}), "$.feedback[1].prediction_id", "not a prediction id"),
    (rows({"prediction_id": OTHER, "outcome": 0}), "$.feedback[1].outcome", "contradicts"),
]  # fmt: skip


@pytest.mark.parametrize(("document", "path", "message"), REFUSED)
def test_what_is_wrong_is_named(document: object, path: str, message: str) -> None:
    with pytest.raises(ApiError) as caught:
        kept(document)
    assert (caught.value.status, caught.value.path) == (400, path)
    assert message in caught.value.message


def test_in_a_replay_a_client_may_run_ahead_of_the_clock() -> None:
    later = {"prediction_id": ID, "outcome": 1, "observed_at": "2026-03-01T15:00:00Z"}
    assert kept(later, replay=True) == [record(True, NOW_US + 3 * 3600 * 10**6)]


@given(st.binary(max_size=200))
def test_no_body_gives_anything_but_records_or_a_400(body: bytes) -> None:
    try:
        kept(body)
    except ApiError as error:
        assert error.status == 400  # noqa: PT017  either is right
