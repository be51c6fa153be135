"""The receiver's cycle: one thing that fails keeps no other waiting."""

from collections.abc import Callable
from pathlib import Path

import pytest
import redis

from orchestration.incidents import writer
from orchestration.incidents.audit import Audit
from orchestration.incidents.document import read_template
from orchestration.incidents.folder import update
from orchestration.incidents.metrics import Metrics
from orchestration.incidents.process import Process
from orchestration.incidents.records import Records
from orchestration.incidents.writer import Writer
from orchestration.settings import Settings
from serving_gateway.control.store import RolloutStore
from tests.orchestration.incidents.happenings import alert, moved, notification, trial


class ToldAudit(Audit):
    """What it is told; `away` while Redis is."""

    def __init__(self) -> None:
        super().__init__(RolloutStore.connect("redis://127.0.0.1:1"))
        self.away = False

    def follow(self) -> None:
        if self.away:
            raise redis.ConnectionError("connection refused")


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    for name in ("INCIDENTS_PATH", "SLACK_WEBHOOK_URL", "JIRA_URL", "DAGSTER_API_URL"):
        monkeypatch.delenv(name, raising=False)
    return Settings(tmp_path, dagster_port=1)


@pytest.fixture
def audit() -> ToldAudit:
    return ToldAudit()


@pytest.fixture
def process(settings: Settings, audit: ToldAudit) -> Process:
    return Process(settings, audit, Writer(settings, read_template()), Metrics())


def problems(process: Process) -> dict[str, str]:
    found = process.health()[1]["problems"]
    assert isinstance(found, dict)
    return found


def test_a_document_that_cannot_be_written_keeps_no_other_waiting(
    process: Process, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refusing(path: Path, change: Callable[[str], str]) -> bool:
        if "first" in path.name:
            raise PermissionError(13, "Permission denied", str(path))
        return update(path, change)

    monkeypatch.setattr(writer, "update", refusing)
    process.hear(notification(alert("First")))
    process.hear(notification(alert("Second", fingerprint="f2"), group="another"))
    process.cycle()
    first, second = sorted(settings.incidents.glob("*.md"))
    assert "alert fires: SEV1 Second" in second.read_text()
    assert f"Permission denied: '{first}'" in problems(process)["documents"]
    monkeypatch.undo()
    fresh = Process(settings, ToldAudit(), Writer(settings, read_template()), Metrics())
    fresh.cycle()
    assert "alert fires: SEV1 First" in first.read_text()
    assert problems(fresh) == {}


def test_without_redis_alerts_are_written(process: Process, audit: ToldAudit, settings: Settings) -> None:
    audit.away = True
    process.hear(notification(alert()))
    process.cycle()
    assert problems(process) == {"audit": "connection refused"}
    assert len(list(settings.incidents.glob("*.md"))) == 1


def test_an_audit_is_recorded_once_however_often_it_is_read(
    process: Process, audit: ToldAudit, settings: Settings
) -> None:
    audit.changes += [(f"{n}-0", state) for n, state in enumerate(trial())]
    process.cycle()
    process.cycle()
    again = ToldAudit()
    again.changes = audit.changes
    Process(settings, again, Writer(settings, read_template()), Metrics()).cycle()
    (incident,) = Records(settings.incident_journal).incidents()
    assert incident.signs == incident.documented == 1
    assert incident.no_jira


def test_states_that_are_no_rollback_are_no_incident(process: Process, audit: ToldAudit) -> None:
    audit.changes += [("1-0", moved(trial()[0], phase="promoted", canary_weight_bp=10_000))]
    process.cycle()
    assert process.records.incidents() == []
