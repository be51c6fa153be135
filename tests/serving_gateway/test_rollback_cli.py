"""python -m serving_gateway.rollback against a real Redis and a real gateway."""

import subprocess
import sys
import time
from pathlib import Path

import msgspec
import pytest
import redis

from serving_gateway.canary_split import RefusedError, apply
from serving_gateway.control import keys
from serving_gateway.control.store import Acknowledgement, RolloutStore
from tests.servers import ROOT, free_port
from tests.serving_gateway.support import CONTRACT, NOW, gateway_process, publish_state, state_of, version, wait_for

pytestmark = pytest.mark.integration
CANARY = state_of(CONTRACT, version(2), shadow=version(2), weight_bp=2500, shadow_fraction=1.0)


def rollback(url: str, *arguments: str, **environ: str) -> "subprocess.CompletedProcess[str]":
    others = (f"{name}={value}" for name, value in environ.items())
    command = ["env", f"REDIS_URL={url}", *others, sys.executable, "-m", "serving_gateway.rollback", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=60)


def test_without_confirm_it_says_what_it_would_do_and_changes_nothing(redis_url: str) -> None:
    store = publish_state(redis_url, CANARY, CONTRACT, version(2))
    done = rollback(redis_url)
    assert done.returncode == 0
    assert "weight 25 % -> 0" in done.stdout
    assert "generation 1 -> 2" in done.stdout
    assert "live gateways none" in done.stdout
    assert store.read() == CANARY


def test_with_confirm_it_waits_for_the_gateways_and_says_how_long(redis_url: str, tmp_path: Path) -> None:
    store = publish_state(redis_url, CANARY, CONTRACT, version(2))
    with gateway_process(tmp_path, redis_url, GATEWAY_ID="g1") as gateway:
        wait_for(lambda: gateway.health()["canary_weight_bp"] == 2500 and bool(store.acknowledgements()))
        assert "live gateways g1 (generation 1)" in rollback(redis_url).stdout
        done = rollback(redis_url, "--confirm", "--reason", "it looks wrong")
        assert done.returncode == 0, done.stderr
        assert "Served by g1 (generation 2) after 0." in done.stdout
        assert gateway.health()["canary_weight_bp"] == 0
    state = store.read()
    assert state is not None
    assert (state.phase, state.canary_weight_bp, state.reason) == ("rolled_back", 0, "it looks wrong")
    assert state.actor.startswith("cli:")
    assert store.acknowledgements() == []  # a gateway that stops takes its acknowledgement back


def test_run_again_it_still_waits_for_the_gateway_that_lags(redis_url: str) -> None:
    store = publish_state(redis_url, CANARY, CONTRACT, version(2))
    lagging = Acknowledgement("lagging", 1, 1, 2500, time.time())
    with redis.Redis.from_url(redis_url) as client:
        client.hset(keys.ACKS, "lagging", msgspec.json.encode(lagging))
    for _ in range(2):
        done = rollback(redis_url, "--confirm", "--timeout", "0.1")
        assert done.returncode == 1
        assert "older generation: lagging" in done.stderr
    assert store.read().generation == 2  # type: ignore[union-attr]


def test_a_canary_that_waits_without_a_share_is_rolled_back_and_gets_none_again(redis_url: str) -> None:
    store = publish_state(redis_url, state_of(CONTRACT, version(2), weight_bp=1000), CONTRACT, version(2))
    split(store, 0)
    assert "weight 0 % -> 0" in rollback(redis_url).stdout
    assert "Rolled back" in rollback(redis_url, "--confirm").stdout
    with pytest.raises(RefusedError, match="delay_v2 was rolled back by cli:"):
        split(store, 5000)
    state = store.read()
    assert state is not None
    assert (state.phase, state.canary_weight_bp) == ("rolled_back", 0)


def split(store: RolloutStore, weight_bp: int) -> None:
    apply(store, weight_bp, reason="CANARY_SPLIT", actor="cli:me", now=NOW)


def test_no_live_gateway_is_said_and_fails(redis_url: str) -> None:
    store = publish_state(redis_url, CANARY, CONTRACT, version(2))
    done = rollback(redis_url, "--confirm")
    assert done.returncode == 1
    assert "no gateway is alive" in done.stderr
    assert store.read().phase == "rolled_back"  # type: ignore[union-attr]


def test_nothing_to_roll_back(redis_url: str) -> None:
    for arguments in ((), ("--confirm",)):
        done = rollback(redis_url, *arguments)
        assert (done.returncode, done.stdout) == (0, "Nothing to roll back: no model is served yet.\n")
    publish_state(redis_url, state_of(CONTRACT), CONTRACT)
    for arguments, code in (((), 0), (("--confirm",), 1)):
        done = rollback(redis_url, *arguments)
        assert done.returncode == code
        assert "delay_v1 answers everything" in done.stdout
        assert ("no gateway is alive" in done.stderr) == bool(code)
    assert len(RolloutStore.connect(redis_url).history()) == 1


def test_gateways_that_fell_silent_are_named_and_hold_nothing_up(redis_url: str, tmp_path: Path) -> None:
    store = publish_state(redis_url, CANARY, CONTRACT, version(2))
    with redis.Redis.from_url(redis_url) as client:
        silent = Acknowledgement("silent", 1, 1, 2500, client.time()[0] - 60)
        client.hset(keys.ACKS, "silent", msgspec.json.encode(silent))
    line = "silent (generation 1) was not heard of for 6"
    assert line in rollback(redis_url).stdout
    with gateway_process(tmp_path, redis_url, GATEWAY_ID="g1"):
        wait_for(lambda: len(store.acknowledgements()) == 2)
        done = rollback(redis_url, "--confirm")
    assert (done.returncode, done.stderr) == (0, "")
    assert line in done.stdout
    assert "Served by g1 (generation 2)" in done.stdout


def test_a_setting_of_the_gateway_alone_does_not_block_a_rollback(redis_url: str) -> None:
    done = rollback(redis_url, GATEWAY_PORT="x")
    assert (done.returncode, done.stdout) == (0, "Nothing to roll back: no model is served yet.\n")


def test_an_unreadable_state_is_one_clear_line(redis_url: str) -> None:
    with redis.Redis.from_url(redis_url) as client:
        client.set(keys.ROLLOUT, b"\xff")
    done = rollback(redis_url, "--confirm")
    assert done.returncode == 1
    assert done.stderr.startswith(f"rollback: {keys.ROLLOUT} in Redis is unreadable")
    assert done.stderr.count("\n") == 1


def test_bad_arguments_and_addresses_are_one_clear_line_without_the_password() -> None:
    for timeout in ("nan", "inf", "-1", "soon"):
        done = rollback("redis://127.0.0.1:1/0", "--confirm", f"--timeout={timeout}")
        assert done.returncode == 2
        assert "argument --timeout" in done.stderr
    for port in (free_port(), "abc"):
        done = rollback(f"redis://:s3cret@127.0.0.1:{port}/0")
        assert done.returncode == 1
        assert "s3cret" not in done.stderr
        assert f"redis://127.0.0.1:{port}/0" in done.stderr
        assert done.stderr.count("\n") == 1


def test_redis_away_is_one_clear_line() -> None:
    done = rollback(f"redis://127.0.0.1:{free_port()}/0")
    assert done.returncode == 1
    assert done.stderr.startswith("rollback: Redis at redis://127.0.0.1:")
    assert done.stderr.count("\n") == 1
