"""`make serve` as a person runs it: CANARY_SPLIT is applied before the gateway starts, and by nothing else."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest

from serving_gateway.control.transitions import rolled_back
from tests.servers import ROOT, free_port, running
from tests.serving_gateway.support import CANARY, CONTRACT, TWO, publish_state, wait_for

pytestmark = pytest.mark.integration
# The environments are taken as they stand: a test must not rebuild the one that it runs in.
MAKE_SERVE = ["make", "-s", "-o", ".venv/installed", "-o", ".venv-triton/installed", "serve"]


def environment(home: Path, redis_url: str, split: str, port: int) -> dict[str, str]:
    wanted = {"REDIS_URL": redis_url, "TRITON_HTTP": "127.0.0.1:1", "PLATFORM_HOME": str(home), "EVENT_CLOCK": "replay"}
    return {**os.environ, **wanted, "GATEWAY_PORT": str(port), "CANARY_SPLIT": split}


def make_serve(home: Path, redis_url: str, split: str) -> "subprocess.CompletedProcess[str]":
    """For a share that is refused: it ends at once."""
    wanted = environment(home, redis_url, split, free_port())
    return subprocess.run(MAKE_SERVE, cwd=ROOT, env=wanted, capture_output=True, text=True, check=False, timeout=60)


@contextmanager
def serving(home: Path, redis_url: str, split: str) -> Iterator[httpx.Client]:
    """`make serve`, up; make hands SIGTERM down to the gateway."""
    port = free_port()
    settings = [f"{name}={value}" for name, value in environment(home, redis_url, split, port).items()]
    command = ["env", "-i", *settings, *MAKE_SERVE]
    url = f"http://127.0.0.1:{port}"
    with (
        running("make-serve", [*command], home, lambda: _alive(url), timeout_s=30),
        httpx.Client(base_url=url) as client,
    ):
        yield client


def _alive(url: str) -> bool:
    try:
        return httpx.get(f"{url}/health", timeout=1).status_code == 200
    except httpx.TransportError:
        return False


def test_the_split_is_there_before_the_gateway_and_a_rollback_outlives_it(redis_url: str, tmp_path: Path) -> None:
    store = publish_state(redis_url, CANARY, CONTRACT, TWO)
    with serving(tmp_path, redis_url, "0.3") as gateway:
        assert gateway.get("/health").json()["canary_weight_bp"] == 3000
        assert [s.canary_weight_bp for s in store.history()] == [3000, 5000]
        store.change(lambda s: rolled_back(s, actor="cli:me", reason="bad", now=datetime.now(UTC)))
        wait_for(lambda: gateway.get("/health").json()["canary_weight_bp"] == 0)
    again = make_serve(tmp_path, redis_url, "0.3")
    assert again.returncode != 0
    assert "was rolled back by cli:me (bad)" in again.stderr
    assert [s.phase for s in store.history()] == ["rolled_back", "canary", "canary"]


def test_without_a_split_nothing_is_changed(redis_url: str, tmp_path: Path) -> None:
    store = publish_state(redis_url, CANARY, CONTRACT, TWO)
    with serving(tmp_path, redis_url, "") as gateway:
        assert gateway.get("/health").json()["canary_weight_bp"] == 5000
    assert store.history() == [CANARY]


@pytest.mark.parametrize("split", ["abc", "1.5", "-0.1", "nan"])
def test_a_bad_split_starts_no_gateway(redis_url: str, tmp_path: Path, split: str) -> None:
    store = publish_state(redis_url, CANARY, CONTRACT, TWO)
    done = make_serve(tmp_path, redis_url, split)
    assert done.returncode != 0
    assert "canary_split: CANARY_SPLIT must be" in done.stderr
    assert "Traceback" not in done.stderr
    assert store.history() == [CANARY]
    assert not (tmp_path / "gateway").exists()
