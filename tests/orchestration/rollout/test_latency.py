"""Latency against the control arm: blocks near in time and alike in size, one request of each exchange."""

from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import polars as pl
import pytest

from orchestration.ingestion.predictions import PREDICTION_SCHEMA
from orchestration.rollout.betting import log_capital
from orchestration.rollout.latency import BLOCK, blocks, latency_differences, slower
from orchestration.rollout.pairing import Pair

NOON = datetime(2013, 5, 2, 12, tzinfo=UTC)
PAIR = Pair(baseline="m_v1", canary="m_v2")


def request(second: int, arm: str, latency_us: int, *, rows: int = 1, **others: Any) -> list[dict[str, Any]]:
    """The rows of a request: one exchange, of which the first row is charged."""
    row = {"request_id": f"r{second}", "served_at": NOON + timedelta(seconds=second), "arm": arm, "outcome": "ok"}
    row |= {"triton_model": "m_v2" if arm == "canary" else "m_v1", "latency_us": latency_us}
    return [
        row | {"prediction_id": f"p{second:06}-{n}", "charged": n == 0, "queued": False} | others for n in range(rows)
    ]


def differences(*requests: list[dict[str, Any]]) -> list[float]:
    rows = [{name: row.get(name) for name in PREDICTION_SCHEMA} for request in requests for row in request]
    return latency_differences(pl.DataFrame(rows, schema=PREDICTION_SCHEMA), PAIR).tolist()


def alternating(count: int, canary_us: int, control_us: int, **others: Any) -> list[list[dict[str, Any]]]:
    arms = (("canary", canary_us), ("control", control_us))
    return [request(2 * i + j, arm, us, **others) for i in range(count) for j, (arm, us) in enumerate(arms)]


def test_a_slower_canary_is_above_zero_a_faster_one_below_and_a_tie_is_none() -> None:
    assert differences(*alternating(BLOCK, 120, 100)) == [1.0]
    assert differences(*alternating(BLOCK, 80, 100)) == [-1.0]
    assert differences(*alternating(BLOCK, 100, 100)) == [0.0]


def test_too_few_requests_are_no_block() -> None:
    assert differences(*alternating(BLOCK - 1, 120, 100)) == []
    assert differences() == []


def test_only_requests_of_one_size_are_compared() -> None:
    """A key that sends larger requests makes its arm slower."""
    large = [request(100 + i, "canary", 900, rows=10) for i in range(20)]
    small = [request(200 + i, "control", 100) for i in range(20)]
    assert differences(*large, *small) == []
    assert differences(*alternating(BLOCK, 900, 900, rows=10), *small) == [0.0]


def test_other_arms_other_models_and_failures_do_not_count() -> None:
    others = [request(100 + i, "baseline", 1) for i in range(9)]
    others += [request(200 + i, "canary", 1, triton_model="m_v9") for i in range(9)]
    others += [request(300 + i, "baseline", 1, fallback_from="canary") for i in range(9)]
    assert differences(*others, *(request(400 + i, "control", 1) for i in range(9))) == []


def test_an_exchange_that_many_requests_share_counts_once() -> None:
    shared = [request(i, "canary", 900, charged=i == 0) for i in range(20)]
    assert differences(*shared, *(request(100 + i, "control", 100) for i in range(20))) == []


def test_who_found_the_model_at_work_waited_and_does_not_count() -> None:
    waited = [request(i, "canary", 900, queued=True) for i in range(20)]
    assert differences(*waited, *(request(100 + i, "control", 100) for i in range(20))) == []


def test_a_block_holds_the_last_requests_of_the_arm_that_is_ahead() -> None:
    early = [(False, 1, 1.0)] * 10
    late = [(False, 1, 5.0)] * BLOCK + [(True, 1, 5.0)] * BLOCK
    assert list(blocks(early + late)) == [([5.0] * BLOCK, [5.0] * BLOCK)]


def test_a_request_is_in_one_block_at_most() -> None:
    found = list(blocks((i % 2 == 0, 1, float(i)) for i in range(100)))
    used = [latency for canary, control in found for latency in (*canary, *control)]
    assert len(found) == 100 // (2 * BLOCK)
    assert len(used) == len(set(used))


def test_the_mean_is_twice_the_chance_to_be_slower_less_one() -> None:
    rng = np.random.default_rng(5)
    canary, control = rng.normal(0.5, 1, (20_000, BLOCK)), rng.normal(0, 1, (20_000, BLOCK))
    chance = 0.6382  # of a normal with mean .5 and variance 2 to be above 0
    assert slower(canary, control).mean() == pytest.approx(2 * chance - 1, abs=0.01)


def test_a_load_that_makes_both_arms_slow_convicts_nobody_though_one_is_busier_then() -> None:
    """Load comes and goes, and the control's keys are the busier ones while it is high: in every run, one after another."""
    rng = np.random.default_rng(11)
    convicted, naive = 0, []
    for _ in range(200):
        load = np.repeat(rng.choice([0.0, 1.0], 40), 100)  # log-latency; a hundred requests long
        of_canary = rng.random(len(load)) < np.where(load > 0, 0.3, 0.5)
        latency = np.exp(load + rng.normal(0, 0.3, len(load)))
        found = np.array(list(blocks(zip(of_canary.tolist(), [1] * len(load), latency.tolist(), strict=True))))
        convicted += bool((log_capital(slower(found[:, 0], found[:, 1]), 0.02) >= np.log(100)).any())
        naive.append(latency[of_canary].mean() - latency[~of_canary].mean())
    assert convicted / 200 <= 0.01 + 0.015
    assert np.mean(naive) < -0.1, "the arms' means differ by their keys alone"
