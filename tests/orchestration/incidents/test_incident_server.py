"""The receiver's HTTP side: what is taken, what is refused in words."""

import socket
from collections.abc import Iterator

import httpx
import pytest

from orchestration.incidents.policy import MAX_BODY_BYTES
from orchestration.incidents.server import Routes, served
from orchestration.incidents.webhook import Notification
from tests.orchestration.incidents.happenings import alert, body
from tests.servers import free_port


class Behind:
    """What is behind the routes."""

    def __init__(self) -> None:
        self.told: list[Notification] = []
        self.full = False
        self.works = True

    def hear(self, notification: Notification) -> dict[str, object]:
        if self.full:
            raise OSError(28, "No space left on device")
        self.told.append(notification)
        return {"kept": True}


@pytest.fixture
def behind() -> Behind:
    return Behind()


@pytest.fixture
def port(behind: Behind) -> Iterator[int]:
    port = free_port()
    routes = Routes(behind.hear, lambda: (behind.works, {"problems": {}}), lambda: b"incidents_open 0\n")
    with served("127.0.0.1", port, routes):
        yield port


@pytest.fixture
def url(port: int) -> str:
    return f"http://127.0.0.1:{port}"


def test_a_notification_is_taken(url: str, behind: Behind) -> None:
    answer = httpx.post(f"{url}/alerts", content=body(alert()))
    assert (answer.status_code, answer.json()) == (200, {"kept": True})
    assert behind.told[0].alerts[0].name == "InferenceOutage"


def test_one_that_cannot_be_kept_is_asked_for_again(url: str, behind: Behind) -> None:
    """Alertmanager repeats what was answered by 5xx, and by nothing else."""
    behind.full = True
    answer = httpx.post(f"{url}/alerts", content=body(alert()))
    assert answer.status_code == 503
    assert "cannot be kept: [Errno 28] No space left on device" in answer.json()["error"]


@pytest.mark.parametrize(
    ("where", "content", "status", "said"),
    [
        ("POST /alerts", b"{", 400, "no notification of Alertmanager's webhook"),
        ("POST /alerts", body(version="3"), 400, "$.version"),
        ("POST /alerts", b" " * (MAX_BODY_BYTES + 1), 413, "max_alerts"),
        ("POST /other", b"{}", 404, "/alerts"),
        ("GET /alerts", b"", 405, "POST"),
        ("GET /", b"", 404, "/health"),
    ],
)
def test_what_is_wrong_is_said(url: str, where: str, content: bytes, status: int, said: str) -> None:
    method, path = where.split()
    answer = httpx.request(method, url + path, content=content)
    assert answer.status_code == status
    assert said in answer.json()["error"]


@pytest.mark.parametrize("length", [b"", b"Content-Length: -5\r\n", b"Content-Length: many\r\n"])
def test_a_body_of_no_stated_length_is_not_read(port: int, length: bytes) -> None:
    with socket.create_connection(("127.0.0.1", port), timeout=5) as client:
        client.sendall(b"POST /alerts HTTP/1.1\r\nHost: x\r\n" + length + b"\r\n")
        assert client.recv(4096).startswith(b"HTTP/1.0 411 ")


def test_health_and_metrics(url: str, behind: Behind) -> None:
    assert httpx.get(f"{url}/health").json() == {"status": "ok", "problems": {}}
    behind.works = False
    hung = httpx.get(f"{url}/health")
    assert (hung.status_code, hung.json()["status"]) == (503, "hung")
    assert httpx.get(f"{url}/metrics").text == "incidents_open 0\n"
