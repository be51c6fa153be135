"""The receiver as it runs: Alertmanager's webhook, a real audit stream, a stub of Jira; killed, and left without neighbours."""

import os
import shutil
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest

from orchestration.notices.notice import Notice
from orchestration.notices.outbox import put, waiting
from orchestration.rollout.evidence_documents import Decided, EvidenceDocument, Found, evidence_folder, keep
from orchestration.settings import Settings
from tests.orchestration.foreign_server import foreign_server
from tests.orchestration.incidents.happenings import alert, trial
from tests.orchestration.incidents.jira_stub import PROJECT, TOKEN, USER, JiraStub, answering
from tests.orchestration.incidents.receivers import Receiver, documents, receiving, write_audit
from tests.orchestration.notices.test_send import listening
from tests.servers import answers_200, free_port, redis_server, running, until

pytestmark = pytest.mark.integration
SINCE = datetime.now(UTC) - timedelta(minutes=11)
RUN = "0f8fad5b-d9cb-469f-a165-70867728950e"


def jira_settings(stub: JiraStub, home: Path) -> dict[str, str]:
    home.mkdir(parents=True, exist_ok=True)
    (home / "token").write_text(TOKEN)
    given = {"JIRA_URL": stub.url, "JIRA_PROJECT": PROJECT, "JIRA_USER": USER}
    return given | {"JIRA_TOKEN_FILE": str(home / "token")}


@contextmanager
def dagster() -> Iterator[str]:
    """Dagster's answer to the question for runs."""
    ended = SINCE.timestamp()
    run = {
        "runId": RUN, "jobName": "judge_canary", "status": "FAILURE", "startTime": ended - 9, "endTime": ended,
        "assetSelection": None,
    }  # fmt: skip
    with foreign_server(200, {"data": {"failed": {"results": [run]}, "named": {"results": [run]}}}) as port:
        yield f"http://127.0.0.1:{port}"


def evidence(home: Path) -> str:
    """The name of a kept document."""
    found = Found(
        name="errors", outcome="fail", reason="of 900 rows", rows=900, difference=0.04, e_fail=412.0, e_pass=1.0,
        more_rows=None,
    )  # fmt: skip
    document = EvidenceDocument(
        canary="delay_v2", baseline="delay_v1", trial=(1, 7), state=(1, 8), event_time="2013-05-01T00:00:00+00:00",
        outcome="fail", reason="worse", criteria=[found], decision=Decided(kind="RollBack", reason="worse"),
        policy_digest="d",
    )  # fmt: skip
    return keep(evidence_folder(Settings(home).lake), document)


def test_an_alert_becomes_a_document_and_an_issue_and_its_end_both(tmp_path: Path, redis_url: str) -> None:
    with (
        answering(JiraStub()) as stub,
        dagster() as url,
        receiving(tmp_path, redis_url, DAGSTER_API_URL=url, **jira_settings(stub, tmp_path)) as receiver,
    ):
        first = receiver.tell(alert(since=SINCE))
        assert first["kept"]
        assert receiver.tell(alert(since=SINCE)) == {"kept": False, "incident": first["incident"]}
        until(lambda: bool(stub.issues), "the issue is opened")
        (name, text), *others = documents(tmp_path).items()
        assert (name, others) == (f"{datetime.now(UTC):%Y-%m-%d}-inference-outage.md", [])
        assert "| severity | SEV1 |" in text
        assert "not yet" in text
        assert f"Dagster: judge_canary, run {RUN} ends: FAILURE" in text
        path = tmp_path / "incidents" / name
        path.write_text(text.replace("## Why", "## Why\n\nAnn: the disk was full.\n"))
        receiver.tell(alert(since=SINCE, ended=SINCE + timedelta(minutes=10)))
        until(lambda: bool(stub.comments["OPS-1"]), "the issue says that it is over")
        ended = f"| ended (UTC) | {SINCE + timedelta(minutes=10):%Y-%m-%d %H:%M:%S} |"
        until(lambda: ended in path.read_text(), "the document says so too")
        until(lambda: f"{stub.url}/browse/OPS-1" in path.read_text(), "it says who was told")
        assert "Ann: the disk was full." in path.read_text()
        metrics = receiver.get("/metrics").text
        assert 'incidents_notifications_total{outcome="kept"} 2.0' in metrics
        assert 'incidents_notifications_total{outcome="repeated"} 1.0' in metrics
        assert 'incidents_open{severity="SEV1"} 0.0' in metrics
        assert receiver.get("/health").json() == {"status": "ok", "problems": {}, "open": 0}
        assert len(stub.issues) == 1


def test_a_rollback_is_written_without_an_alert_with_its_evidence(tmp_path: Path, redis_url: str) -> None:
    began = datetime.now(UTC) - timedelta(hours=2)
    with receiving(tmp_path, redis_url) as receiver:
        write_audit(redis_url, trial(began=began, evidence=evidence(tmp_path)))
        until(lambda: "rolled_back" in str(documents(tmp_path)), "the document is written")
        until(lambda: "incidents_documents_waiting 0.0" in receiver.get("/metrics").text, "nothing is left to write")
        ((name, text),) = documents(tmp_path).items()
    assert name.endswith("-rollback-delay-v2.md")
    assert text.count("| rollout: 1:") == 3, "the whole trial, however long before it began"
    assert "| errors | fail | 900 | 412 | 1 | of 900 rows |" in text
    assert f"({name.removesuffix('.md')}.png)" in text
    assert (tmp_path / "incidents" / name).with_suffix(".png").read_bytes().startswith(b"\x89PNG")
    assert "Dagster's runs could not be read" in text
    with receiving(tmp_path, redis_url) as receiver:
        write_audit(redis_url, trial(began=began + timedelta(hours=2), generation=21))
        until(lambda: len(documents(tmp_path)) == 2, "another trial is another incident")
    assert documents(tmp_path)[name].count("## Why") == 1


def test_rollbacks_of_before_its_first_start_are_written_and_no_news_for_jira(tmp_path: Path, redis_url: str) -> None:
    now = datetime.now(UTC)
    write_audit(redis_url, trial(began=now - timedelta(days=9)))
    with answering(JiraStub()) as stub:
        with receiving(tmp_path, redis_url, **jira_settings(stub, tmp_path)):
            until(lambda: len(documents(tmp_path)) == 1, "it is written")
            write_audit(redis_url, trial(began=now - timedelta(hours=2), generation=21))
            until(lambda: bool(stub.issues), "the new one is an issue")
        assert len(documents(tmp_path)) == 2
        ((_, fields),) = stub.issues.items()
    assert f"Began {now:%Y-%m-%d}" in str(fields["description"])


def test_killed_while_jira_is_away_it_loses_nothing(tmp_path: Path, redis_url: str) -> None:
    stub = JiraStub()
    given = jira_settings(stub, tmp_path)
    for number in range(2):
        with receiving(tmp_path, redis_url, **given) as receiver:
            group = f"service {number}"
            receiver.tell(alert(f"Outage{number}", since=SINCE, fingerprint=f"f{number}"), group=group)
            os.kill(receiver.pid, signal.SIGKILL)  # at once: the answer is all that it had time for
    with answering(stub), receiving(tmp_path, redis_url, **given) as receiver:
        until(lambda: len(stub.issues) == 2, "every issue is opened")
        assert receiver.get("/health").json()["open"] == 2
        os.kill(receiver.pid, signal.SIGKILL)
    with answering(stub), receiving(tmp_path, redis_url, **given) as receiver:
        for number in range(2):
            ended = SINCE + timedelta(minutes=1)
            over = alert(f"Outage{number}", since=SINCE, ended=ended, fingerprint=f"f{number}")
            receiver.tell(over, group=f"service {number}")
        until(lambda: sum(map(len, stub.comments.values())) == 2, "every end is told")
    assert len(stub.issues) == 2, "none twice"
    assert len(documents(tmp_path)) == 2
    assert [text.count("# Incident: ") for text in documents(tmp_path).values()] == [1, 1]


def test_without_redis_alerts_are_written_and_rollbacks_follow(tmp_path: Path) -> None:
    port, home = free_port(), tmp_path / "home"
    with receiving(home, f"redis://127.0.0.1:{port}/0") as receiver:
        receiver.tell(alert(since=SINCE))
        until(lambda: len(documents(home)) == 1, "the alert is written")
        until(lambda: "audit" in receiver.get("/health").json()["problems"], "it says what it lacks")
        with redis_server(tmp_path, port=port) as server:
            write_audit(server.url, trial())
            until(lambda: len(documents(home)) == 2, "the rollback is written", timeout_s=40)
            until(lambda: receiver.get("/health").json()["problems"] == {}, "all is well")


def test_notices_that_wait_for_slack_are_posted_once_it_is_back(tmp_path: Path, redis_url: str) -> None:
    settings = Settings(tmp_path)
    notice = Notice(severity="SEV2", title="It rains", text="t", link="http://a", time=datetime.now(UTC))
    put(settings.slack_outbox, notice)
    with listening() as hook:
        hook.status = 503
        with receiving(tmp_path, redis_url, SLACK_WEBHOOK_URL=hook.url) as receiver:
            until(lambda: "slack" in receiver.get("/health").json()["problems"], "Slack is away")
            assert "incidents_slack_waiting 1.0" in receiver.get("/metrics").text
            hook.status = 200
            until(lambda: waiting(settings.slack_outbox) == [], "it is posted")
            until(lambda: receiver.get("/health").json()["problems"] == {}, "all is well")
    assert {body["text"] for body in hook.bodies} == {"SEV2 It rains"}


@pytest.mark.skipif(
    shutil.which("prometheus-alertmanager") is None,
    reason="no alertmanager: as root, apt-get install prometheus-alertmanager",
)
def test_the_real_alertmanager_is_understood(tmp_path: Path, redis_url: str) -> None:
    with receiving(tmp_path / "home", redis_url) as receiver, alertmanager(tmp_path, receiver) as url:
        labels = {"alertname": "InferenceOutage", "severity": "sev1", "service": "gateway"}
        told = {"labels": labels, "annotations": {"summary": "Predictions fail"}, "generatorURL": "http://p/graph"}
        post = {"startsAt": SINCE.isoformat(), **told}
        httpx.post(f"{url}/api/v2/alerts", json=[post], trust_env=False).raise_for_status()
        until(lambda: len(documents(tmp_path / "home")) == 1, "the document is written")
        ended = datetime.now(UTC)
        httpx.post(f"{url}/api/v2/alerts", json=[post | {"endsAt": ended.isoformat()}], trust_env=False)
        until(lambda: receiver.get("/health").json()["open"] == 0, "its end is heard of", timeout_s=40)
        until(lambda: "not yet" not in str(documents(tmp_path / "home")), "the document says so")
        assert f"{ended:%Y-%m-%d %H:%M:%S}" in str(documents(tmp_path / "home"))


@contextmanager
def alertmanager(folder: Path, receiver: Receiver) -> Iterator[str]:
    """The real one, with the receiver as its only route; notifications go out as soon as they can."""
    configuration = folder / "alertmanager.yml"
    configuration.write_text(f"""
route: {{receiver: incidents, group_by: [alertname, service], group_wait: 0s, group_interval: 1s, repeat_interval: 1h}}
receivers:
  - name: incidents
    webhook_configs: [{{url: "{receiver.settings.incidents_url}/alerts", send_resolved: true}}]
""")
    url = f"http://127.0.0.1:{(port := free_port())}"
    command = ["prometheus-alertmanager", f"--config.file={configuration}", f"--storage.path={folder / 'data'}"]
    command += [f"--web.listen-address=127.0.0.1:{port}", "--cluster.listen-address="]
    with running("alertmanager", [*command], folder, lambda: answers_200(f"{url}/-/ready"), timeout_s=20):
        yield url
