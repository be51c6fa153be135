"""The trip condition: its law, its figures, how seldom it is wrong, how soon it is right.

`pytest -s tests/serving_gateway/control/test_reflex.py` prints the figures of docs/reliability.md.
"""

import random
from math import exp, inf
from pathlib import Path
from statistics import median, quantiles

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving_gateway.control.reflex import Evidence, TripPolicy
from serving_gateway.rollout.tripwire import Tripwire

POLICY = TripPolicy()


def trips(outcomes: list[bool], policy: TripPolicy = POLICY) -> tuple[int, str] | None:
    """After how many outcomes the canary is stopped, and why."""
    evidence = Evidence(policy)
    for n, failed in enumerate(outcomes, 1):
        reason = evidence.add(failed=failed)
        if reason:
            return n, reason
    return None


@pytest.mark.parametrize(
    ("outcomes", "expected"),
    [
        ([True] * 5 + [False], None),  # five failures are too few to say
        ([True] * 6, (6, "6 of the last 6 canary requests failed")),
        ([False] * 10_000 + [True] * 6, (10_006, "6 of the last 6 canary requests failed")),  # health earns no credit
        (([True] + [False] * 9) * 8, (61, "7 of the last 61 canary requests failed")),  # a tenth
        (([True] + [False] * 499) * 100, None),  # .2 %
        ([], None),
    ],
)
def test_condition(outcomes: list[bool], expected: tuple[int, str] | None) -> None:
    assert trips(outcomes) == expected


@given(st.floats(0.0001, 0.01), st.floats(0.02, 0.9), st.floats(0.0, 1.0))
def test_what_a_request_says_is_a_martingale_at_the_tolerated_share_and_falls_below_it(
    tolerated: float, gross: float, of: float
) -> None:
    policy = TripPolicy(tolerated=tolerated, gross=gross)

    def mean(share: float) -> float:
        return share * exp(policy.failed) + (1 - share) * exp(policy.succeeded)

    assert mean(tolerated) == pytest.approx(1.0)
    assert mean(of * tolerated) <= 1.0 + 1e-9


@given(st.lists(st.booleans(), max_size=60))
def test_the_evidence_is_that_of_the_request_from_which_on_there_is_most(outcomes: list[bool]) -> None:
    """Trips exactly where the best of all beginnings reaches the limit."""
    policy = TripPolicy(requests=10, chance=0.001)
    said = [policy.failed if failed else policy.succeeded for failed in outcomes]
    first = next(
        (n for n in range(1, len(said) + 1) if max(sum(said[k:n]) for k in range(n)) >= policy.limit - 1e-12), None
    )
    found = trips(outcomes, policy)
    assert (found[0] if found else None) == first


def false_alarms(policy: TripPolicy, share: float, canaries: int, seed: int) -> int:
    """How many of so many canaries are stopped within the policy's requests, each failing with probability `share`.

    Evidence rises at failures only, so a step goes from one failure of every canary to its next.
    """
    chance = np.random.default_rng(seed)
    weight, at = np.zeros(canaries), np.zeros(canaries)
    highest = np.zeros(canaries)
    while (at < policy.requests).any():
        gap = chance.geometric(share, canaries)
        at += gap
        weight = np.maximum(0.0, weight + (gap - 1) * policy.succeeded) + policy.failed
        highest = np.maximum(highest, np.where(at <= policy.requests, weight, -inf))
    return int((highest >= policy.limit).sum())


def test_the_simulation_is_of_the_code_that_runs() -> None:
    """The same outcomes, the same verdicts: by `Evidence` and from failure to failure."""
    policy = TripPolicy(requests=2000, chance=0.9)
    chance, stopped = random.Random(3), 0
    for _ in range(2000):
        stopped += trips([chance.random() < 0.004 for _ in range(policy.requests)], policy) is not None
    simulated = false_alarms(policy, 0.004, 50_000, seed=3) / 50_000
    assert 0.1 < simulated < 0.9  # neither always nor never, else nothing is compared
    assert stopped / 2000 == pytest.approx(simulated, abs=0.05)  # over four standard deviations


def test_the_bound_on_false_alarms_holds_where_it_can_be_seen() -> None:
    """With a chance that a simulation can see. A canary that is no better than five times the tolerated share breaks it."""
    policy = TripPolicy(requests=20_000, chance=0.2)
    stopped = false_alarms(policy, policy.tolerated, 20_000, seed=1) / 20_000
    assert stopped <= policy.chance
    assert false_alarms(policy, 5 * policy.tolerated, 1000, seed=1) / 1000 > policy.chance
    print(f"bound {policy.chance}: {stopped:.4f} of the canaries stopped at {policy.tolerated:.1%} errors")


@pytest.mark.parametrize("canaries", [20_000, pytest.param(1_000_000, marks=pytest.mark.full)])
def test_a_canary_that_fails_two_of_a_thousand_is_not_stopped(canaries: int) -> None:
    stopped = false_alarms(POLICY, 0.002, canaries, seed=2)
    print(f"{stopped} of {canaries} canaries stopped within {POLICY.requests} requests at .2 % errors")
    assert stopped <= 0.001 * canaries


def test_a_real_tripwire_lets_them_go_on(tmp_path: Path) -> None:
    chance = random.Random(5)
    for canary in range(10):
        wire = Tripwire(tmp_path / "trip.json", enabled=True)
        for _ in range(POLICY.requests):
            wire.observe(f"m_v{canary}", failed=chance.random() < 0.002)
        assert wire.trip is None


@pytest.mark.parametrize(("share", "within"), [(0.05, 200), (0.2, 40), (1.0, 6)])
def test_how_soon_a_bad_canary_is_stopped(share: float, within: int) -> None:
    """Half of them within so many requests, after a thousand good ones."""
    chance, found = random.Random(7), []
    for _ in range(400):
        stopped = trips([False] * 1000 + [chance.random() < share for _ in range(4000)])
        assert stopped is not None
        found.append(stopped[0] - 1000)
    late = quantiles(found, n=20)[-1]
    print(f"{share:.0%} errors: stopped after {median(found):.0f} canary requests, 95 % after {late:.0f}")
    assert median(found) <= within
