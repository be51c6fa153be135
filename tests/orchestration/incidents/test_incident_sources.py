"""Rows of a timeline, and the parts of a document, from what each source knows."""

import threading
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest

from orchestration.incidents.document import body_of, read_template
from orchestration.incidents.evidence import last_tried, states_of_trial
from orchestration.incidents.incident import slug
from orchestration.incidents.ledger import Ledger
from orchestration.incidents.policy import SAVED_S
from orchestration.incidents.sources import Period, alert_rows, change_rows, notice_rows, row, run_rows
from orchestration.incidents.writer import Known, Writer
from orchestration.notices.journal import append
from orchestration.notices.notice import Notice
from orchestration.notices.outbox import put
from orchestration.settings import Settings
from serving_gateway.contracts.rollout import RolloutState
from tests.orchestration.foreign_server import foreign_server
from tests.orchestration.incidents.happenings import NOW, alert, heard, moved, rollback, trial

HOUR = timedelta(hours=1)
PERIOD = Period(NOW - HOUR, NOW + HOUR)


def notice(at: datetime, title: str = "It rains") -> Notice:
    return Notice(severity="SEV2", title=title, text="all | day", link="http://a", time=at)


def test_a_change_says_who_did_what_and_why() -> None:
    start, _, end = change_rows(trial())
    assert start == (
        "| 2026-11-29 06:00:00.000 | rollout: 1:7 canary (delay_v1, delay_v2 answers 5 %, shadows 100%) by dagster:begin: "
        "try delay_v2 |"
    )
    assert "1:9 rolled_back (delay_v1, delay_v2 answers 0 %) by dagster:hook:roll_back_at_once:" in end
    assert end.endswith("40 more failed \\| &lt;b&gt; |")


def test_alerts_of_the_period_fire_and_end() -> None:
    told = [
        heard(alert(), alert("Early", fingerprint="f2", since=NOW - 2 * HOUR)),
        heard(alert(ended=NOW + timedelta(minutes=5)), alert(severity="sev3", fingerprint="f3")),
    ]
    assert sorted(set(alert_rows(told, PERIOD))) == [
        "| 2026-11-29 08:00:00.000 | alert fires: SEV1 InferenceOutage: Predictions fail |",
        "| 2026-11-29 08:00:00.000 | alert fires: SEV3 InferenceOutage: Predictions fail |",
        "| 2026-11-29 08:05:00.000 | alert ends: SEV1 InferenceOutage |",
    ]


def test_notices_of_the_period(tmp_path: Path) -> None:
    settings = Settings(tmp_path)
    for at in (NOW - 2 * HOUR, NOW):
        append(settings.notices, notice(at))
    assert notice_rows(settings, PERIOD) == ["| 2026-11-29 08:00:00.000 | notice: SEV2 It rains: all \\| day |"]


def test_a_long_text_is_cut() -> None:
    assert len(row(NOW, "x" * 5000)) < 400


RUNS = [
    {"runId": "r1", "jobName": "judge_canary", "status": "FAILURE", "startTime": NOW.timestamp(), "endTime": None,
     "assetSelection": None},
    {"runId": "r2", "jobName": "__ASSET_JOB", "status": "FAILURE", "startTime": None, "endTime": NOW.timestamp() + 1,
     "assetSelection": [{"path": ["raw_flights"]}]},
]  # fmt: skip


def test_runs_begin_and_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with foreign_server(200, {"data": {"failed": {"results": RUNS}, "named": {"results": RUNS[:1]}}}) as port:
        monkeypatch.setenv("DAGSTER_API_URL", f"http://127.0.0.1:{port}")
        assert run_rows(Settings(tmp_path), PERIOD, trial()) == [
            "| 2026-11-29 08:00:00.000 | Dagster: judge_canary, run r1 begins |",
            "| 2026-11-29 08:00:01.000 | Dagster: raw_flights, run r2 ends: FAILURE |",
        ]


@pytest.mark.parametrize("answer", [{"data": {"failed": {"message": "no"}}}, {"data": None}, {"errors": []}, []])
def test_what_is_no_answer_of_dagsters_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answer: object) -> None:
    with foreign_server(200, answer) as port:
        monkeypatch.setenv("DAGSTER_API_URL", f"http://127.0.0.1:{port}")
        with pytest.raises(ValueError, match="does not say which runs"):
            run_rows(Settings(tmp_path), PERIOD, [])


def test_a_dagster_that_fails_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with foreign_server(500, {}) as port:
        monkeypatch.setenv("DAGSTER_API_URL", f"http://127.0.0.1:{port}")
        with pytest.raises(httpx.HTTPStatusError):
            run_rows(Settings(tmp_path), PERIOD, [])


def test_the_trial_is_told_from_its_first_state_and_others_are_left_out() -> None:
    states = trial()
    other = moved(states[0], generation=3, trial=None, arms=states[0].arms)
    assert states_of_trial(states[-1], [other, *states]) == states
    assert states_of_trial(states[-1], []) == [states[-1]], "the store has forgotten the rest"


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("InferenceOutage", "inference-outage"),
        ("SLO: burn  rate!", "slo-burn-rate"),
        ("..", "incident"),
        ("x" * 99, "x" * 48),
    ],
)
def test_names_of_files(text: str, name: str) -> None:
    assert slug(text) == name


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    for name in ("SLACK_WEBHOOK_URL", "JIRA_URL", "INCIDENTS_PATH", "DAGSTER_API_URL"):
        monkeypatch.delenv(name, raising=False)
    return Settings(tmp_path, dagster_port=1)


def written(settings: Settings, ledger: Ledger, audit: Sequence[RolloutState] = ()) -> str:
    (incident,) = ledger.incidents.values()
    known = Known(audit, ledger.heard)
    return Writer(settings, read_template()).write(incident, known, NOW + HOUR).read_text()


def test_a_rollback_by_a_person_has_no_verdict_and_says_so(settings: Settings) -> None:
    by_hand = moved(trial()[-1], actor="cli:ann", reason="looks wrong")
    text = written(settings, Ledger([rollback(by_hand)]), trial())
    assert "| by, because | cli:ann: looks wrong |" in text
    assert "No verdict stands behind it" in text
    assert "1:7, since 2026-11-29 06:00:00" in text


def test_evidence_that_was_lost_takes_nothing_away(settings: Settings) -> None:
    ledger = Ledger([rollback(trial(evidence="1-8-gone.json")[-1])])
    text = written(settings, ledger)
    assert body_of(text, "evidence") == "The evidence cannot be read."
    (path,) = settings.incidents.glob("*.md")
    path.write_text(text.replace("The evidence cannot be read.", "| errors | fail |"))
    assert "| errors | fail |" in written(settings, ledger)


def test_who_was_told_is_what_happened(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    ledger = Ledger([heard(alert())])
    assert "| who was told | by Alertmanager, whom its routes name for SEV1 |" in written(settings, ledger)
    append(settings.notices, notice(NOW))
    assert "nobody by Slack, which is not set up: 1 notices of that time are kept" in written(settings, ledger)
    monkeypatch.setenv("SLACK_WEBHOOK_URL", "http://127.0.0.1:1/")
    put(settings.slack_outbox, notice(NOW))
    assert "Slack, by 1 notices of that time (Slack was away when this was written, 1 waited)" in written(
        settings, ledger
    )
    monkeypatch.setenv("JIRA_URL", "https://j")
    assert "Jira: its issue waits to be opened" in written(settings, ledger)


def test_an_alert_that_ended_shows_until_when_and_where_to_look(settings: Settings) -> None:
    ledger = Ledger([heard(alert()), heard(alert(ended=NOW + timedelta(minutes=5)))])
    text = written(settings, ledger)
    assert (
        "| InferenceOutage | 2026-11-29 08:00:00 | 2026-11-29 08:05:00 | Predictions fail; No answer for 10 minutes |"
        in text
    )
    assert "query <http://127.0.0.1:9090/graph?g0.expr=up+%3D%3D+0&amp;g0.tab=1>" in text
    assert f"{datetime(2026, 11, 29, 8, 5, tzinfo=UTC):%T} |" in text


def test_a_document_that_is_being_saved_is_not_written_a_second_time(settings: Settings) -> None:
    """An editor empties the file, and fills it again a moment later."""
    (incident,) = Ledger([rollback()]).incidents.values()
    writer = Writer(settings, read_template())
    path = writer.write(incident, Known([], []), NOW)
    text = path.read_text()
    path.write_text("")
    saving = threading.Timer(SAVED_S / 4, lambda: path.write_text(text + "Ann: it rained.\n"))
    saving.start()
    writer.write(replace(incident, documented=1), Known([], []), NOW)
    saving.join()
    assert [one.name for one in settings.incidents.glob("*.md")] == [path.name]
    assert path.read_text().endswith("Ann: it rained.\n")


def test_an_alert_tells_of_the_trial_of_its_time(settings: Settings) -> None:
    text = written(settings, Ledger([heard(alert())]), trial())
    assert "delay_v2 was on trial at that time (epoch:generation 1:7)." in text
    assert "(2026-11-29-inference-outage.png)" in text
    assert (settings.incidents / "2026-11-29-inference-outage.png").read_bytes().startswith(b"\x89PNG")


def test_the_trial_of_a_time_is_the_last_under_way_in_it() -> None:
    start, raised, end = trial()
    assert last_tried([start, raised, end], PERIOD) == raised
    assert last_tried([start, raised, end], Period(NOW - HOUR / 2, NOW - HOUR / 3)) == raised, (
        "it stood when that began"
    )
    assert last_tried([start, raised, end], Period(NOW + HOUR, NOW + 2 * HOUR)) is None
    assert last_tried([start, raised], Period(NOW + HOUR, NOW + 2 * HOUR)) == raised
    assert last_tried([], PERIOD) is None


def test_a_refresh_brings_no_document_back_that_somebody_removed(settings: Settings) -> None:
    (incident,) = Ledger([rollback()]).incidents.values()
    writer = Writer(settings, read_template())
    path = writer.write(incident, Known([], []), NOW)
    path.unlink()
    writer.refresh(incident, Known([], []), NOW)
    assert list(settings.incidents.glob("*.md")) == []
