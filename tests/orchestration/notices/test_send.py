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
from orchestration.notices.send import send, send_once
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
        (f"http://127.0.0.1:{{port}}/{SECRET}", "Slack was not reached: ConnectError"),
        (f"hooks.slack.com/{SECRET}", "SLACK_WEBHOOK_URL must be an http or https address"),
        (f"http://127.0.0.1:web/{SECRET}", "Slack was not reached: InvalidURL"),
    ],
)
def test_a_webhook_that_is_not_there_is_a_reason_without_the_secret(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, url: str, reason: str
) -> None:
    monkeypatch.setenv("SLACK_WEBHOOK_URL", url.format(port=free_port()))
    send(NOTICE, settings)
    assert read(settings.notices).notices[1].text.endswith(reason)
    assert SECRET not in settings.notices.read_text() + caplog.text
