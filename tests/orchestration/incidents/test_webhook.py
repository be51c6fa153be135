"""What Alertmanager sends is read; what it does not send is refused in words."""

import json
from datetime import UTC, datetime

import pytest

from orchestration.incidents.webhook import BadNotificationError, read_notification
from tests.orchestration.incidents.happenings import NOW, alert, body, notification


def test_a_group_is_read_whole() -> None:
    told = notification(alert(), alert("SlowAnswers", "sev2", fingerprint="f2", ended=NOW))
    assert (told.status, told.group_key, told.receiver) == ("firing", '{}:{service="gateway"}', "incidents")
    first, second = told.alerts
    assert (first.name, first.severity, first.summary) == ("InferenceOutage", "SEV1", "Predictions fail")
    assert first.generator_url.startswith("http://127.0.0.1:9090/graph")
    assert (second.severity, second.ends_at) == ("SEV2", NOW)


@pytest.mark.parametrize(
    ("said", "severity"), [("sev1", "SEV1"), ("SEV2", "SEV2"), ("sev3", None), ("critical", None), ("", None)]
)
def test_severities(said: str, severity: str | None) -> None:
    assert notification(alert(severity=said)).alerts[0].severity == severity


def test_gos_nanoseconds_are_read() -> None:
    one = alert() | {"startsAt": "2026-11-29T08:00:00.123456789Z"}
    assert notification(one).alerts[0].starts_at == datetime(2026, 11, 29, 8, 0, 0, 123457, tzinfo=UTC)


@pytest.mark.parametrize(
    ("changes", "where"),
    [
        ({"version": "5"}, "$.version"),
        ({"groupKey": ""}, "$.groupKey"),
        ({"status": "odd"}, "$.status"),
        ({"alerts": [{**alert(), "labels": {"alertname": 1}}]}, "$.alerts[0].labels"),
        ({"alerts": [{**alert(), "startsAt": "2026-11-29T08:00:00"}]}, "$.alerts[0].startsAt"),
        ({"alerts": [{**alert(), "fingerprint": "a b"}]}, "$.alerts[0].fingerprint"),
        ({"alerts": [{**alert(), "startsAt": "0001-01-01T00:00:00+14:00"}]}, "date value out of range"),
    ],
)
def test_what_is_wrong_is_named(changes: dict[str, object], where: str) -> None:
    with pytest.raises(BadNotificationError) as refused:
        read_notification(body(alert(), **changes))
    assert where in str(refused.value)
    assert "version 4" in str(refused.value)


@pytest.mark.parametrize("bad", [b"", b"{", b"[]", b"\xff", b"[" * 100_000, json.dumps({"version": "4"}).encode()])
def test_what_is_no_notification_is_refused(bad: bytes) -> None:
    with pytest.raises(BadNotificationError):
        read_notification(bad)
