"""Issues in a stub of Jira that goes down and comes back."""

import logging
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from orchestration.incidents.entries import Asked, Entry, Opened, Started
from orchestration.incidents.incident import Incident
from orchestration.incidents.issues import Issues, description, labels, over, summary, waits
from orchestration.incidents.jira import Account, Jira, JiraError, account
from orchestration.incidents.ledger import Ledger
from orchestration.settings import Settings
from tests.orchestration.incidents.happenings import NOW, alert, heard, rollback
from tests.orchestration.incidents.jira_stub import PROJECT, TOKEN, USER, JiraStub, answering

AT_ONCE = timedelta(0)


class Night:
    """A ledger, and what tells Jira of it."""

    def __init__(self, stub: JiraStub, *, token: str = TOKEN, project: str = PROJECT) -> None:
        self.stub = stub
        self.jira = Jira(Account(stub.url, project, USER, token))
        self.ledger = Ledger()
        self.lines: list[Entry] = []
        self.issues = Issues(self.jira, self.add, index=AT_ONCE)
        self.clock = 0.0

    def add(self, entry: Entry) -> None:
        self.lines.append(entry)
        self.ledger.add(entry)

    def tell(self, *, after_s: float = 1000.0) -> None:
        self.clock += after_s
        self.issues.tell(self.incidents, lambda one: f"/home/incidents/{one.name}.md", self.clock)

    @property
    def incidents(self) -> list[Incident]:
        return list(self.ledger.incidents.values())


@pytest.fixture
def stub() -> Iterator[JiraStub]:
    with answering(JiraStub()) as found:
        yield found


@pytest.fixture
def night(stub: JiraStub) -> Night:
    return Night(stub)


def test_an_incident_is_one_issue_and_a_comment_when_it_is_over(night: Night) -> None:
    night.add(heard(alert()))
    night.tell()
    night.tell()
    (fields,) = night.stub.issues.values()
    (incident,) = night.incidents
    assert fields["summary"] == "SEV1 InferenceOutage: Predictions fail"
    assert fields["labels"] == ["drift-platform", "sev1", incident.id, "fingerprint-1a30ba71cca2921f"]
    assert (incident.issue, night.stub.comments["OPS-1"]) == ("OPS-1", [])
    assert "/home/incidents/inference-outage.md" in str(fields["description"])
    night.add(heard(alert(ended=NOW + timedelta(minutes=20))))
    night.tell()
    night.tell()
    assert len(night.stub.issues) == 1
    (comment,) = night.stub.comments["OPS-1"]
    assert "ended 2026-11-29 08:20:00 (UTC)" in str(comment)


def test_a_rollback_is_over_when_it_is_told(night: Night) -> None:
    night.add(rollback())
    night.tell()
    night.tell()
    (fields,) = night.stub.issues.values()
    assert "ended 2026-11-29 08:00:00" in str(fields["description"])
    assert "40 more failed" in str(fields["description"])
    assert night.stub.comments["OPS-1"] == []


@pytest.mark.parametrize("status", [429, 500, 503])
def test_an_outage_loses_nothing(stub: JiraStub, night: Night, status: int) -> None:
    stub.status = status
    night.add(heard(alert()))
    night.add(rollback())
    night.tell()
    assert stub.asked == ["POST /rest/api/3/search/jql"], "one attempt, and then it is left alone"
    night.tell(after_s=0.5)
    assert len(stub.asked) == 1
    assert str(status) in night.issues.problem
    stub.status = 0
    night.tell()
    assert [fields["summary"][:4] for fields in stub.issues.values()] == ["SEV1", "SEV2"]
    assert night.issues.problem == ""


def test_a_jira_that_is_not_there_is_waited_for(night: Night) -> None:
    stub = JiraStub()
    away = Night(stub)
    away.add(rollback())
    away.tell()
    assert "Jira was not reached: ConnectError" in away.issues.problem
    with answering(stub):
        away.tell()
    assert len(stub.issues) == 1


def test_it_is_left_alone_for_as_long_as_it_asks(stub: JiraStub, night: Night) -> None:
    stub.status, stub.retry_after = 429, "600"
    night.add(rollback())
    night.tell()
    stub.status = 0
    night.tell(after_s=599)
    assert len(stub.asked) == 1
    night.tell(after_s=1)
    assert len(stub.issues) == 1


def test_an_issue_whose_opening_was_not_answered_is_found_again(stub: JiraStub, night: Night) -> None:
    """It was opened, and the answer was lost: by a proxy's 504, by a death of the receiver."""
    night.add(rollback())
    (incident,) = night.incidents
    night.issues = Issues(night.jira, night.add, index=timedelta(hours=1))
    night.add(Asked(incident=incident.id, at=NOW - timedelta(days=3650)))
    stub.issues["OPS-1"] = {"labels": labels(incident), "summary": ""}
    stub.comments["OPS-1"] = []
    night.tell()
    assert list(stub.issues) == ["OPS-1"]
    assert night.lines[-1] == Opened(incident=incident.id, issue="OPS-1", with_end=False)
    night.tell()
    assert len(stub.comments["OPS-1"]) == 1, "whether it says the end is not known"


def test_the_search_is_given_time_to_learn_of_a_new_issue(stub: JiraStub, night: Night) -> None:
    night.issues = Issues(night.jira, night.add, index=timedelta(days=36_500))
    night.add(rollback())
    stub.status, stub.does = 504, True
    stub.indexed = False
    night.add(Asked(incident=night.incidents[0].id, at=NOW))
    night.tell()
    night.tell()
    assert stub.asked == [], "asked now, it would say that there is none"
    assert waits(night.incidents[0])


def test_a_comment_that_stands_there_is_not_made_again(stub: JiraStub, night: Night) -> None:
    night.add(heard(alert()))
    night.tell()
    night.add(heard(alert(ended=NOW)))
    night.jira.comment("OPS-1", over(night.incidents[0]))
    night.tell()
    assert len(stub.comments["OPS-1"]) == 1
    assert not waits(night.incidents[0])


@pytest.mark.parametrize(
    ("account_of", "said"),
    [
        ({"token": "old"}, "401 to POST /search/jql"),
        ({"project": "GONE"}, "valid project is required"),
    ],
)
def test_a_refusal_is_put_aside_and_told_once(
    stub: JiraStub, account_of: dict[str, str], said: str, caplog: pytest.LogCaptureFixture
) -> None:
    night = Night(stub, **account_of)
    night.add(rollback())
    night.tell()
    asked = len(stub.asked)
    night.tell()
    assert len(stub.asked) == asked
    assert said in night.incidents[0].refused
    assert caplog.text.count("Jira refuses incident") == 1
    assert TOKEN not in caplog.text
    assert "old" not in caplog.text.replace("older", "")
    mended = Night(stub)
    for line in [*night.lines, Started(at=NOW)]:
        mended.ledger.add(line)
    mended.tell()
    assert len(stub.issues) == 1


def test_one_that_is_refused_keeps_no_other_waiting(stub: JiraStub, night: Night) -> None:
    night.add(heard(alert()))
    night.tell()
    del stub.issues["OPS-1"]  # somebody removed it
    night.add(heard(alert(ended=NOW)))
    night.add(rollback())
    night.tell()
    assert "404 to GET /issue/OPS-1/comment" in night.incidents[0].refused
    assert night.incidents[1].issue


def test_who_is_not_jira_is_refused_in_words(stub: JiraStub, caplog: pytest.LogCaptureFixture) -> None:
    night = Night(stub)
    stub._search = lambda _: (200, "<html>")  # type: ignore[method-assign]
    caplog.set_level(logging.ERROR)
    with pytest.raises(JiraError, match="does not answer as Jira does: no issues") as refused:
        night.jira.find("x")
    assert not refused.value.again


def test_a_group_of_many_alerts_is_cut_and_a_runbook_without_an_address_is_text(night: Night) -> None:
    many = [alert(f"Alert{n}", fingerprint=f"f{n}") for n in range(500)]
    many[0]["annotations"] |= {"summary": "two\nlines " * 1000, "runbook_url": "docs/runbook.md#31-gateway"}
    night.add(heard(*many))
    night.tell()
    (fields,) = night.stub.issues.values()
    assert len(str(fields["description"])) < 32_767
    assert "and 480 more alerts" in str(fields["description"])
    assert "Runbook: docs/runbook.md#31-gateway" in str(fields["description"])
    assert len(fields["labels"]) == 23


def test_a_summary_is_one_line_within_jiras_bound() -> None:
    long = alert()
    long["annotations"]["summary"] = "two\nlines " * 100
    (incident,) = Ledger([heard(long)]).incidents.values()
    assert len(summary(incident)) == 255
    assert "\n" not in summary(incident)
    assert description(incident, "d")["type"] == "doc"


class TestAccount:
    """Settings of Jira."""

    @pytest.fixture(autouse=True)
    def clean(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        for name in ("JIRA_URL", "JIRA_PROJECT", "JIRA_USER", "JIRA_TOKEN_FILE"):
            monkeypatch.delenv(name, raising=False)

    def test_without_an_address_it_is_off(self, tmp_path: Path) -> None:
        assert account(Settings(tmp_path)) is None

    def test_the_token_comes_from_its_file(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        (tmp_path / "token").write_text("s3cret\n")
        given = {"JIRA_URL": "https://demo.atlassian.net/", "JIRA_PROJECT": "OPS", "JIRA_USER": "a@b.c"}
        for name, value in (given | {"JIRA_TOKEN_FILE": str(tmp_path / "token")}).items():
            monkeypatch.setenv(name, value)
        assert account(Settings(tmp_path)) == Account("https://demo.atlassian.net", "OPS", "a@b.c", "s3cret")

    @pytest.mark.parametrize(
        ("given", "said"),
        [
            ({"JIRA_URL": "demo.atlassian.net"}, "JIRA_URL must be an http or https address"),
            ({"JIRA_URL": "https://j", "JIRA_USER": "a"}, "JIRA_PROJECT, JIRA_TOKEN_FILE"),
            ({"JIRA_URL": "https://j", "JIRA_USER": "a", "JIRA_PROJECT": "O", "JIRA_TOKEN_FILE": "/absent"}, "/absent"),
            ({"JIRA_URL": "https://j", "JIRA_USER": "a", "JIRA_PROJECT": "O", "JIRA_TOKEN_FILE": "/dev/null"}, "empty"),
        ],
    )
    def test_what_is_wrong_is_named(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, given: dict[str, str], said: str
    ) -> None:
        for name, value in given.items():
            monkeypatch.setenv(name, value)
        with pytest.raises(ValueError, match=said):
            account(Settings(tmp_path))
