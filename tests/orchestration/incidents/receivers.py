"""The receiver as a process of its own."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import redis

from orchestration.settings import Settings
from serving_gateway.contracts.rollout import RolloutState
from serving_gateway.control.store import RolloutStore
from tests.orchestration.incidents.happenings import body
from tests.servers import answers_200, free_port, running


@dataclass(frozen=True)
class Receiver:
    """One on its port."""

    settings: Settings
    pid: int

    def post(self, content: bytes, **headers: str) -> httpx.Response:
        """Post to /alerts."""
        return httpx.post(f"{self.settings.incidents_url}/alerts", content=content, headers=headers, trust_env=False)

    def tell(self, *alerts: dict[str, object], **changes: object) -> dict[str, object]:
        """A notification that is taken."""
        answer = self.post(body(*alerts, **changes))
        assert answer.status_code == 200, answer.text
        found: dict[str, object] = answer.json()
        return found

    def get(self, path: str) -> httpx.Response:
        """Ask it."""
        return httpx.get(f"{self.settings.incidents_url}{path}", trust_env=False)


def documents(home: Path) -> dict[str, str]:
    """File name to text of the documents."""
    return {path.name: path.read_text() for path in sorted((home / "incidents").glob("*.md"))}


@contextmanager
def receiving(home: Path, redis_url: str, **environment: str) -> Iterator[Receiver]:
    """A receiver on `home` while the block runs."""
    settings = Settings(home, incidents_port=free_port())
    given = {"PLATFORM_HOME": str(home), "REDIS_URL": redis_url, "INCIDENTS_PORT": str(settings.incidents_port)}
    clean = {name: "" for name in os.environ if name.startswith(("JIRA_", "SLACK_", "INCIDENTS_", "DAGSTER_"))}
    wanted = clean | {"DAGSTER_API_URL": f"http://127.0.0.1:{free_port()}"} | given | environment
    command = ["env", *(f"{name}={value}" for name, value in wanted.items()), sys.executable, "-m"]
    health = f"{settings.incidents_url}/health"
    with running(
        "receiver", [*command, "orchestration.incidents"], home, lambda: answers_200(health), timeout_s=30
    ) as process:
        yield Receiver(settings, process.pid)


def write_audit(redis_url: str, states: list[RolloutState]) -> None:
    """Let the rollout go through these states."""
    with redis.Redis.from_url(redis_url) as client:
        store, before = RolloutStore(client), None
        before = store.read()
        for state in states:
            store.write(state, before)
            before = state
