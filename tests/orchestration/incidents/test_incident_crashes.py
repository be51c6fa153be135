"""The receiver dies before or after any step that the outside can see; what follows is as if it had not."""

import os
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from orchestration.incidents.audit import Audit
from orchestration.incidents.document import read_template
from orchestration.incidents.issues import Issues
from orchestration.incidents.jira import Account, Jira
from orchestration.incidents.metrics import Metrics
from orchestration.incidents.process import Process
from orchestration.incidents.webhook import Notification
from orchestration.incidents.writer import Writer
from orchestration.settings import Settings
from serving_gateway.control.store import RolloutStore
from tests.orchestration.incidents.happenings import NOW, alert, notification
from tests.orchestration.incidents.jira_stub import PROJECT, TOKEN, USER, JiraStub, answering

pytestmark = pytest.mark.integration
ENDED = NOW + timedelta(minutes=7)


class DiedError(BaseException):
    """Nothing in the receiver may catch it."""


class Fate:
    """Dies at the `at`-th of the moments before and after each step."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.at, self.moment = 0, 0
        for owner, step in ((os, "fsync"), (os, "link"), (Path, "replace"), (Jira, "_ask")):
            monkeypatch.setattr(owner, step, self._mortal(getattr(owner, step)))

    def _mortal(self, step: Callable[..., Any]) -> Callable[..., Any]:
        def taken(*given: Any, **named: Any) -> Any:
            self._pass()
            done = step(*given, **named)
            self._pass()
            return done

        return taken

    def _pass(self) -> None:
        self.moment += 1
        if self.moment == self.at:
            raise DiedError


class QuietAudit(Audit):
    """No rollout happens tonight."""

    def __init__(self) -> None:
        super().__init__(RolloutStore.connect("redis://127.0.0.1:1"))

    def follow(self) -> None:
        return


def receiver(home: Path, stub: JiraStub) -> Process:
    settings = Settings(home, dagster_port=1)
    process = Process(settings, QuietAudit(), Writer(settings, read_template()), Metrics())
    jira = Jira(Account(stub.url, PROJECT, USER, TOKEN))
    process.issues = Issues(jira, process.records.add, index=timedelta(0))
    return process


def night(home: Path, stub: JiraStub) -> int:
    """An alert fires and ends; a death starts the receiver anew, and Alertmanager sends again what was not answered.

    Returns how often it died.
    """
    process, deaths = receiver(home, stub), 0
    steps: list[Notification | None] = [notification(alert()), None, notification(alert(ended=ENDED)), None]
    while steps:
        try:
            process.cycle() if steps[0] is None else process.hear(steps[0])
        except DiedError:
            deaths += 1
            process = receiver(home, stub)
        else:
            steps.pop(0)
    return deaths


def test_a_death_at_any_moment_costs_nothing_and_does_nothing_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("INCIDENTS_PATH", raising=False)
    monkeypatch.delenv("SLACK_WEBHOOK_URL", raising=False)
    stub, fate = JiraStub(), Fate(monkeypatch)
    with answering(stub):
        for at in range(1, 1000):
            stub.issues.clear()
            stub.comments.clear()
            home = tmp_path / str(at)
            fate.at, fate.moment = at, 0
            deaths = night(home, stub)
            (document,) = (home / "incidents").glob("*.md")
            text = document.read_text()
            assert "| ended (UTC) | 2026-11-29 08:07:00 |" in text, at
            assert text.count("alert fires") == text.count("alert ends") == text.count("## Why") == 1, at
            assert len(stub.issues) == 1, at
            assert len(stub.comments["OPS-1"]) == 1, at
            if not deaths:
                break
    assert at > 30, "the night has so many moments"
