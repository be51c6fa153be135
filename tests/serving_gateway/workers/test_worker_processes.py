"""Real parents and workers under load: what restarts may cost, what a kill may cost, and what is left behind."""

import fcntl
import os
import pty
import random
import re
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from serving_gateway.contracts.prediction_log import decode_record, read_frames
from serving_gateway.control.store import RolloutStore
from tests.servers import ROOT, alive, free_port, wait_until
from tests.serving_gateway.faulty_triton import FaultyTriton, faulty_triton
from tests.serving_gateway.support import (
    CONTRACT,
    GatewayProcess,
    gateway_process,
    predictions,
    publish_state,
    state_of,
    wait_for,
)
from tests.serving_gateway.workers.hammer import Hammer, hammering

pytestmark = pytest.mark.integration
ANSWERED = 'serving_app_requests_total{model_variant="baseline",outcome="ok"}'


@pytest.fixture
def triton_stand_in() -> Iterator[FaultyTriton]:
    with faulty_triton() as server:
        yield server


@pytest.fixture
def store(redis_url: str) -> RolloutStore:
    return publish_state(redis_url, state_of(CONTRACT), CONTRACT)


@contextmanager
def workers(count: int, home: Path, redis_url: str, triton: str, port: int | None = None) -> Iterator[GatewayProcess]:
    """A gateway `g` of `count` workers, all of them ready."""
    wanted = {"GATEWAY_WORKERS": str(count), "GATEWAY_ID": "g"}
    with gateway_process(home, redis_url, triton, port=port, **wanted) as gateway:
        wait_until(lambda: len(ready(gateway)) >= count)
        wait_until(lambda: gateway.client.get("/ready").status_code == 200)
        yield gateway


def log_of(gateway: GatewayProcess) -> str:
    return (gateway.home / f"gateway-{gateway.port}.log").read_text()


def ready(gateway: GatewayProcess) -> list[int]:
    """Process ids of the workers that were ever ready."""
    return [int(pid) for pid in re.findall(r"worker \d+ \(pid (\d+)\) is ready", log_of(gateway))]


def children(gateway: GatewayProcess) -> set[int]:
    """Its living processes, the parent apart."""
    pid = gateway.process.pid
    return {child for child in map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split()) if alive(child)}


def replaced(gateway: GatewayProcess) -> None:
    """SIGHUP, until no worker of before lives and all of now are ready."""
    before, count = children(gateway), len(children(gateway))
    gateway.process.send_signal(signal.SIGHUP)
    wait_until(
        lambda: not before & children(gateway) and len(children(gateway) & set(ready(gateway))) == count, timeout_s=60
    )


def every_answer_is_in_the_log(hammer: Hammer, gateway: GatewayProcess, redis_url: str) -> None:
    """On disk at once, for nothing has landed yet; and in the stream, whoever ships it."""
    segments = (gateway.home / "gateway" / "spool").glob("*/*.seg")
    frames = [frame for path in segments for frame in read_frames(path.read_bytes())[0]]
    assert hammer.answered <= {decode_record(frame).prediction_id for frame in frames}
    wait_until(lambda: hammer.answered <= {record.prediction_id for record in predictions(redis_url)}, timeout_s=60)


def test_restarts_under_load_fail_no_request(
    store: RolloutStore, redis_url: str, triton_stand_in: FaultyTriton, tmp_path: Path
) -> None:
    with workers(2, tmp_path, redis_url, triton_stand_in.address) as gateway, hammering(gateway.port) as hammer:
        wait_until(lambda: len(hammer.answered) > 200)
        replaced(gateway)  # rolling
        assert hammer.closes >= 16
        before = children(gateway)
        os.kill(min(before), signal.SIGTERM)  # one worker, by hand
        wait_until(lambda: len(children(gateway) - before) == 1)
        gateway.process.send_signal(signal.SIGTERM)  # plain
        assert gateway.process.wait(timeout=12) == 0
        answered = len(hammer.answered)
        with workers(2, tmp_path, redis_url, triton_stand_in.address, port=gateway.port) as again:
            wait_until(lambda: len(hammer.answered) > answered + 200)
            hammer.stop()
            every_answer_is_in_the_log(hammer, again, redis_url)
    assert hammer.failed == []


def test_a_killed_worker_costs_its_own_clients_one_answer_and_nobody_else(
    store: RolloutStore, redis_url: str, triton_stand_in: FaultyTriton, tmp_path: Path
) -> None:
    with workers(2, tmp_path, redis_url, triton_stand_in.address) as gateway, hammering(gateway.port) as hammer:
        kill_under_load(gateway, hammer, random.Random(4))
        hammer.stop()
        every_answer_is_in_the_log(hammer, gateway, redis_url)
        assert gateway.metric(ANSWERED) >= len(hammer.answered)


@pytest.mark.full
def test_workers_killed_and_replaced_again_and_again(
    store: RolloutStore, redis_url: str, triton_stand_in: FaultyTriton, tmp_path: Path
) -> None:
    chance = random.Random(7)
    with workers(3, tmp_path, redis_url, triton_stand_in.address) as gateway, hammering(gateway.port, 8) as hammer:
        for _ in range(10):
            kill_under_load(gateway, hammer, chance, replaced_within_s=10)  # it waits longer each time
            failed = len(hammer.failed)
            replaced(gateway)
            assert len(hammer.failed) == failed
        hammer.stop()
        every_answer_is_in_the_log(hammer, gateway, redis_url)
        assert gateway.metric(ANSWERED) >= len(hammer.answered)


def kill_under_load(
    gateway: GatewayProcess, hammer: Hammer, chance: random.Random, *, replaced_within_s: float = 5
) -> None:
    """Kill one worker while it answers; see what that cost, and another one in its place."""
    answered, failed, count = len(hammer.answered), len(hammer.failed), len(children(gateway))
    wait_until(lambda: len(hammer.answered) > answered + 200)
    shown = gateway.metric(ANSWERED)
    victim = chance.choice(sorted(children(gateway)))
    os.kill(victim, signal.SIGKILL)
    wait_until(lambda: len(children(gateway) & set(ready(gateway)) - {victim}) == count, timeout_s=replaced_within_s)
    wait_until(lambda: len(hammer.answered) > answered + 400)
    assert gateway.metric(ANSWERED) >= shown + 100
    assert {worker for worker, _ in hammer.failed[failed:]} <= {victim, 0}  # 0: not told yet who it met
    assert len(hammer.failed) - failed <= 16


def test_every_worker_says_who_it_is_and_what_it_serves(
    store: RolloutStore, redis_url: str, triton_stand_in: FaultyTriton, tmp_path: Path
) -> None:
    with workers(2, tmp_path, redis_url, triton_stand_in.address) as gateway:
        pids = ready(gateway)

        def told() -> list[str]:
            return [a.gateway for a in store.acknowledgements()]

        wait_for(lambda: told() == ["g", "g-1"])
        health = gateway.health()
        assert health["worker"]["of"] == 2  # type: ignore[index]
        assert health["worker"]["pid"] in pids  # type: ignore[index]
        assert health["gateway"] == ["g", "g-1"][health["worker"]["index"]]  # type: ignore[index]
        replaced(gateway)
        wait_for(lambda: len(told()) == 2)
        assert {a.position for a in store.acknowledgements()} == {(1, 1)}
        gateway.process.send_signal(signal.SIGINT)
        assert gateway.process.wait(timeout=12) == 0
        assert told() == []


def test_what_a_killed_parent_leaves_is_nothing(
    store: RolloutStore, redis_url: str, triton_stand_in: FaultyTriton, tmp_path: Path
) -> None:
    with workers(2, tmp_path, redis_url, triton_stand_in.address) as gateway:
        left = children(gateway)
        assert len(left) == 2
        gateway.process.kill()
        gateway.process.wait()
        with workers(2, tmp_path, redis_url, triton_stand_in.address, port=gateway.port) as again:
            assert not any(map(alive, left))
            assert len(children(again)) == 2


def test_a_gateway_of_the_same_name_is_refused_in_one_line(
    store: RolloutStore, redis_url: str, triton_stand_in: FaultyTriton, tmp_path: Path
) -> None:
    with workers(1, tmp_path, redis_url, triton_stand_in.address):
        settings = {
            "GATEWAY_WORKERS": 3, "GATEWAY_ID": "g", "GATEWAY_PORT": free_port(), "PLATFORM_HOME": tmp_path,
            "REDIS_URL": redis_url,
        }  # fmt: skip
        command = ["env", *(f"{k}={v}" for k, v in settings.items()), sys.executable, "-m", "serving_gateway"]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=30)
    said = [line for line in done.stderr.splitlines() if line.startswith("serving_gateway: ")]
    assert said == ["serving_gateway: another gateway with the id 'g' is running: set GATEWAY_ID"]
    assert done.returncode == 1
    assert "Traceback" not in done.stderr


def test_where_a_successor_cannot_start_the_old_ones_serve_on(
    store: RolloutStore, redis_url: str, triton_stand_in: FaultyTriton, tmp_path: Path
) -> None:
    with workers(1, tmp_path, redis_url, triton_stand_in.address) as gateway:
        taken = tmp_path / "gateway" / "spool" / "g-1"
        taken.mkdir()
        with (taken / "lock").open("w") as lock, hammering(gateway.port, 4) as hammer:
            fcntl.flock(lock, fcntl.LOCK_EX)
            before = children(gateway)
            gateway.process.send_signal(signal.SIGHUP)
            wait_until(lambda: "a successor did not start" in log_of(gateway))
            assert "another gateway with the id 'g-1' is running" in log_of(gateway)
            assert children(gateway) == before
        assert hammer.failed == []
        replaced(gateway)  # the way is free again


def test_where_a_successor_cannot_be_forked_the_old_ones_serve_on(
    store: RolloutStore, redis_url: str, triton_stand_in: FaultyTriton, tmp_path: Path
) -> None:
    """The parent is out of descriptors."""
    with workers(1, tmp_path, redis_url, triton_stand_in.address) as gateway:
        pid, before = gateway.process.pid, children(gateway)
        was = resource.prlimit(pid, resource.RLIMIT_NOFILE)
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (3, was[1]))
        with hammering(gateway.port, 4) as hammer:
            gateway.process.send_signal(signal.SIGHUP)
            wait_until(lambda: "worker 1 cannot be started: " in log_of(gateway))
            assert "Too many open files" in log_of(gateway)
            answered = len(hammer.answered)
            wait_until(lambda: len(hammer.answered) > answered + 50)
            assert children(gateway) == before
        assert hammer.failed == []
        resource.prlimit(pid, resource.RLIMIT_NOFILE, was)
        replaced(gateway)  # the way is free again


def test_a_closed_terminal_ends_it(redis_url: str, tmp_path: Path) -> None:
    """The hang-up is the terminal's, not a wish for new workers."""
    port = free_port()
    settings = {"GATEWAY_PORT": port, "PLATFORM_HOME": tmp_path, "REDIS_URL": redis_url, "GATEWAY_ID": "g"}
    pid, terminal = pty.fork()
    if not pid:
        os.execvpe(sys.executable, [sys.executable, "-m", "serving_gateway"], os.environ | {k: str(v) for k, v in settings.items()})  # fmt: skip
    told = b""
    while b"is ready" not in told:
        told += os.read(terminal, 4096)
    os.close(terminal)
    began = time.monotonic()
    _, status = os.waitpid(pid, 0)
    assert os.waitstatus_to_exitcode(status) == 0
    assert time.monotonic() - began < 10
