"""Notices on their way to Slack, against a server that takes real requests."""

import json
import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import msgspec
import pytest

from orchestration.notices.journal import read
from orchestration.notices.notice import Notice
from orchestration.notices.outbox import put, turn, waiting
from orchestration.notices.send import Delivery, deliver, send, send_once
from orchestration.notices.slack import payload
from orchestration.settings import Settings
from tests.servers import free_port

SECRET = "T0/B0/s3cret"
NOTICE = Notice(
    severity="SEV2", title="m_v2 <was> stopped", text="5 & 7 failed", link="http://127.0.0.1:8000/rollout",
    time=datetime(2026, 5, 1, 12, tzinfo=UTC),
)  # fmt: skip


class Webhook:
    """Slack's side: what it was sent, and what it answers."""

    def __init__(self) -> None:
        self.status, self.answer = 200, b"ok"
        self.retry_after = ""
        self.bodies: list[dict[str, object]] = []
        self.headers: list[str] = []
        self.url = ""


@contextmanager
def listening() -> Iterator[Webhook]:
    hook = Webhook()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            hook.bodies.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            hook.headers.append(f"{self.path} {self.headers['Content-Type']}")
            self.send_response(hook.status)
            if hook.retry_after:
                self.send_header("Retry-After", hook.retry_after)
            self.end_headers()
            self.wfile.write(hook.answer)

        def log_message(self, *_: object) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    hook.url = f"http://127.0.0.1:{server.server_port}/{SECRET}"
    try:
        yield hook
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def hook() -> Iterator[Webhook]:
    with listening() as found:
        yield found


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(tmp_path)


def told(settings: Settings) -> list[str]:
    return [notice.title for notice in read(settings.notices).notices]


def test_without_a_webhook_it_is_kept(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SLACK_WEBHOOK_URL", raising=False)
    send(NOTICE, settings)
    assert read(settings.notices).notices == [NOTICE]


def test_what_was_told_of_a_thing_is_not_told_again(settings: Settings) -> None:
    assert send_once(NOTICE, settings)
    assert not send_once(msgspec.structs.replace(NOTICE, time=datetime.now(UTC), text="worse"), settings)
    assert send_once(msgspec.structs.replace(NOTICE, link="http://127.0.0.1:8000/other"), settings)
    assert len(told(settings)) == 2


def test_slack_gets_the_message_that_its_api_takes(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, hook: Webhook, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("SLACK_WEBHOOK_URL", hook.url)
    caplog.set_level(logging.DEBUG)
    send(NOTICE, settings)
    assert SECRET not in caplog.text
    assert hook.headers == [f"/{SECRET} application/json"]
    assert hook.bodies == [
        {
            "text": "SEV2 m_v2 &lt;was&gt; stopped",
            "blocks": [
                {
                    "type": "section",
                    "text": {"type": "mrkdwn", "text": "*SEV2* m_v2 &lt;was&gt; stopped\n5 &amp; 7 failed"},
                },
                {
                    "type": "context",
                    "elements": [
                        {"type": "mrkdwn", "text": "2026-05-01 12:00:00 UTC  <http://127.0.0.1:8000/rollout|look>"}
                    ],
                },
            ],
        }
    ]
    assert told(settings) == [NOTICE.title]


def test_a_long_text_stays_within_slacks_limit() -> None:
    long = Notice(severity="SEV3", title="t", text="x&" * 9000, link="http://a", time=NOTICE.time)
    (section, _) = payload(long)["blocks"]
    assert len(section["text"]["text"]) <= 3000


def test_a_refusal_is_kept_beside_the_notice_and_raised_into_nobody(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, hook: Webhook, caplog: pytest.LogCaptureFixture
) -> None:
    hook.status, hook.answer = 403, b"invalid_token"
    monkeypatch.setenv("SLACK_WEBHOOK_URL", hook.url)
    send(NOTICE, settings)
    assert told(settings) == [NOTICE.title, "A notice did not reach Slack"]
    assert read(settings.notices).notices[1].text == "SEV2 m_v2 <was> stopped: Slack answered 403: invalid_token"
    assert "invalid_token" in caplog.text
    assert len(hook.bodies) == 1, "the failure itself is not posted"
    assert waiting(settings.slack_outbox) == [], "the same would be refused for ever"


def test_an_outage_of_slack_loses_no_notice_and_keeps_their_order(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, hook: Webhook, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("SLACK_WEBHOOK_URL", hook.url)
    hook.status, hook.answer = 503, b"come back later"
    titles = ["first", "second", "third"]
    for title in titles:
        send(msgspec.structs.replace(NOTICE, title=title), settings)
    assert told(settings) == titles, "nobody is told that Slack is away: it is told by Slack once it is back"
    assert "waits for Slack: Slack answered 503: come back later" in caplog.text
    assert {body["text"] for body in hook.bodies} == {"SEV2 first"}, "the first is asked for, the others wait behind it"
    hook.status, hook.answer = 200, b"ok"
    hook.bodies.clear()
    assert deliver(settings, for_s=5) == Delivery()
    assert [body["text"] for body in hook.bodies] == [f"SEV2 {title}" for title in titles]
    assert deliver(settings, for_s=5) == Delivery()
    assert len(hook.bodies) == 3, "each once"
    assert settings.slack_outbox.read_bytes() == b"", "what is told is not kept twice"


def test_slack_that_is_too_busy_says_when_it_wants_to_be_asked_again(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, hook: Webhook
) -> None:
    monkeypatch.setenv("SLACK_WEBHOOK_URL", hook.url)
    hook.status, hook.answer, hook.retry_after = 429, b"rate_limited", "30"
    send(NOTICE, settings)
    assert deliver(settings, for_s=5) == Delivery(1, "Slack answered 429: rate_limited", 30.0)


def test_a_sender_does_not_work_off_what_waits_for_long(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, hook: Webhook
) -> None:
    monkeypatch.setenv("SLACK_WEBHOOK_URL", hook.url)
    for _ in range(3):
        put(settings.slack_outbox, NOTICE)
    assert deliver(settings, for_s=0) == Delivery(2)
    assert len(hook.bodies) == 1


def test_one_process_posts_at_a_time(settings: Settings, monkeypatch: pytest.MonkeyPatch, hook: Webhook) -> None:
    monkeypatch.setenv("SLACK_WEBHOOK_URL", hook.url)
    with turn(settings.slack_outbox) as ours:
        assert ours
        send(NOTICE, settings)
        assert (len(hook.bodies), len(waiting(settings.slack_outbox))) == (0, 1)
    assert deliver(settings, for_s=5) == Delivery()
    assert len(hook.bodies) == 1


def test_what_waits_when_slack_is_no_longer_set_up_waits_on(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(settings.slack_outbox, NOTICE)
    monkeypatch.delenv("SLACK_WEBHOOK_URL", raising=False)
    assert deliver(settings, for_s=5) == Delivery(1)


def test_a_notice_that_cannot_be_kept_is_posted_and_then_raised(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, hook: Webhook
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("SLACK_WEBHOOK_URL", hook.url)
    with pytest.raises(OSError, match="file"):
        send(NOTICE, Settings(tmp_path / "file"))
    assert [body["text"] for body in hook.bodies] == ["SEV2 m_v2 &lt;was&gt; stopped"]


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        (f"hooks.slack.com/{SECRET}", "SLACK_WEBHOOK_URL must be an http or https address"),
        (f"http://127.0.0.1:web/{SECRET}", "Slack was not reached: InvalidURL"),
    ],
)
def test_a_webhook_that_is_not_there_is_a_reason_without_the_secret(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, url: str, reason: str
) -> None:
    monkeypatch.setenv("SLACK_WEBHOOK_URL", url)
    send(NOTICE, settings)
    assert read(settings.notices).notices[1].text.endswith(reason)
    assert SECRET not in settings.notices.read_text() + caplog.text


def test_a_slack_that_cannot_be_reached_is_waited_for_and_its_secret_not_told(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("SLACK_WEBHOOK_URL", f"http://127.0.0.1:{free_port()}/{SECRET}")
    send(NOTICE, settings)
    assert told(settings) == [NOTICE.title]
    assert "waits for Slack: Slack was not reached: ConnectError" in caplog.text
    assert deliver(settings, for_s=5) == Delivery(1, "Slack was not reached: ConnectError")
    assert SECRET not in settings.slack_outbox.read_text() + settings.notices.read_text() + caplog.text


def test_a_webhook_whose_file_is_away_delays_notices_and_loses_none(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, hook: Webhook
) -> None:
    secret = settings.home / "webhook"
    monkeypatch.setenv("SLACK_WEBHOOK_URL_FILE", str(secret))
    send(NOTICE, settings)
    found = deliver(settings, for_s=5)
    assert found.waiting == 1
    assert found.problem.startswith("SLACK_WEBHOOK_URL_FILE cannot be read: ")
    secret.write_text(f"{hook.url}\n")
    assert deliver(settings, for_s=5) == Delivery()
    assert (told(settings), len(hook.bodies)) == ([NOTICE.title], 1)
