"""python -m serving_gateway.canary_split against a real Redis."""

import subprocess
import sys

import msgspec
import pytest
import redis

from serving_gateway.canary_split import RefusedError, apply
from serving_gateway.contracts.rollout import RolloutState, basis_points
from serving_gateway.control import keys
from serving_gateway.control.store import RolloutStore
from serving_gateway.control.transitions import rolled_back, set_baseline
from tests.servers import ROOT, free_port
from tests.serving_gateway.support import CANARY, CONTRACT, NOW, TWO, arm_of, publish_state, state_of

BY = {"reason": "CANARY_SPLIT", "actor": "cli:me", "now": NOW}


def canary_split(url: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
    command = ["env", f"REDIS_URL={url}", sys.executable, "-m", "serving_gateway.canary_split", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=60)


@pytest.mark.parametrize(("share", "points"), [(0, 0), (0.0001, 1), (0.1, 1000), (0.29, 2900), (1, 10_000)])
def test_a_share_in_basis_points(share: float, points: int) -> None:
    assert basis_points(share) == points


@pytest.mark.parametrize("share", [-0.1, 1.0001, 0.00005, float("nan"), float("inf")])
def test_what_is_no_share_is_refused(share: float) -> None:
    with pytest.raises(ValueError, match=r"must be 0 to 1 in steps of 0\.0001, got"):
        basis_points(share)


@pytest.mark.parametrize("text", ["abc", "1.5", "-0.1", "nan", "inf", "0.00001", "0_1", "10%", "1e-1", " "])
def test_a_bad_fraction_is_one_clear_line(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    from serving_gateway.canary_split import main

    assert main([text]) == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.startswith("canary_split: CANARY_SPLIT must be ")
    assert text in told.err or f"{float(text):g}" in told.err
    assert told.err.count("\n") == 1


def test_an_empty_fraction_asks_for_nothing(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from serving_gateway.canary_split import main

    monkeypatch.setenv("REDIS_URL", f"redis://127.0.0.1:{free_port()}/0")
    assert main([""]) == 0
    assert capsys.readouterr() == ("", "")


@pytest.mark.integration
def test_the_share_is_changed_once_and_audited(redis_url: str) -> None:
    store = publish_state(redis_url, CANARY, CONTRACT, TWO)
    done = canary_split(redis_url, "0.25")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "delay_v2 answers 25 % of the keys, generation 2.\n"
    state = store.read()
    assert state is not None
    assert (state.canary_weight_bp, state.phase, state.generation) == (2500, "canary", 2)
    assert state.reason == "CANARY_SPLIT: 0.25 of the keys"
    assert state.actor.startswith("cli:")
    assert store.history() == [state, CANARY]
    again = canary_split(redis_url, "0.25")
    assert (again.returncode, again.stdout) == (0, "delay_v2 answers 25 % of the keys already: nothing changed.\n")
    assert store.read() == state


@pytest.mark.integration
def test_a_canary_that_was_rolled_back_gets_nothing(redis_url: str) -> None:
    store = publish_state(redis_url, CANARY, CONTRACT, TWO)
    before = store.change(lambda s: rolled_back(s, actor="gateway:g", reason="10 failed in a row", now=NOW))
    done = canary_split(redis_url, "0.5")
    assert done.returncode == 1
    assert "delay_v2 was rolled back by gateway:g (10 failed in a row)" in done.stderr
    assert "canary_arm" in done.stderr
    assert store.read() == before


@pytest.mark.integration
def test_without_a_canary_or_a_state_it_says_what_to_do(redis_url: str) -> None:
    empty = canary_split(redis_url, "0.5")
    assert empty.returncode == 1
    assert "publish a model first" in empty.stderr
    store = publish_state(redis_url, state_of(CONTRACT), CONTRACT)
    alone = canary_split(redis_url, "0.5")
    assert alone.returncode == 1
    assert "no canary is named, delay_v1 answers everything" in alone.stderr
    assert "canary_arm" in alone.stderr
    assert [s.generation for s in store.history()] == [1]


@pytest.mark.integration
def test_a_rollback_that_comes_between_wins(redis_url: str) -> None:
    """The share is written only onto the state that was looked at; what came between is looked at again."""
    store = publish_state(redis_url, CANARY, CONTRACT, TWO)

    class Overtaken(RolloutStore):
        def write(self, new: RolloutState, expected: RolloutState | None) -> None:
            store.change(lambda s: rolled_back(s, actor="gateway:g", reason="bad", now=NOW))
            super().write(new, expected)

    with pytest.raises(RefusedError, match="was rolled back by gateway:g"):
        apply(Overtaken.connect(redis_url), 100, **BY)
    state = store.read()
    assert state is not None
    assert (state.phase, state.canary_weight_bp) == ("rolled_back", 0)


@pytest.mark.integration
def test_a_new_baseline_has_no_canary_left_to_change(redis_url: str) -> None:
    store = publish_state(redis_url, CANARY, CONTRACT, TWO)
    store.change(lambda s: set_baseline(s, arm_of(TWO), actor="a", reason="promoted", now=NOW))
    with pytest.raises(RefusedError, match="delay_v2 answers everything"):
        apply(store, 100, **BY)


@pytest.mark.integration
def test_redis_away_or_unreadable_is_one_clear_line(redis_url: str) -> None:
    away = canary_split(f"redis://:s3cret@127.0.0.1:{free_port()}/0", "0.5")
    assert away.returncode == 1
    assert away.stderr.startswith("canary_split: Redis at redis://127.0.0.1:")
    assert "s3cret" not in away.stderr
    assert away.stderr.count("\n") == 1
    with redis.Redis.from_url(redis_url) as client:
        client.set(keys.ROLLOUT, msgspec.json.encode({"epoch": 1, "generation": "x"}))
    assert "is unreadable" in canary_split(redis_url, "0.5").stderr


def test_it_imports_nothing_heavy() -> None:
    """It runs before every `make serve`."""
    heavy = "{'numpy', 'pandas', 'polars', 'mlflow', 'feast', 'dagster', 'httpx'} & set(sys.modules)"
    command = [sys.executable, "-c", f"import sys, serving_gateway.canary_split; sys.exit(bool({heavy}))"]
    assert subprocess.run(command, cwd=ROOT, check=False).returncode == 0
