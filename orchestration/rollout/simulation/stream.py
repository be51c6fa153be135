"""An innocent canary on the real stream: flights in order, split by their aircraft, under a load that comes and goes.

Both arms serve the same model, each with a noise of its own. What happens to a request depends on when it comes, whose
it is, and what came before; of its arm, it does not. So whoever stops this canary has mistaken the keys for guilt.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from orchestration.rollout.betting import Floats
from orchestration.rollout.latency import blocks, slower
from orchestration.rollout.pairing import brier_differences
from orchestration.rollout.policy import CriterionName, EvidencePolicy
from orchestration.rollout.simulation.flights import Flights, sigmoid
from orchestration.rollout.simulation.rivals import z_at_end
from orchestration.rollout.simulation.stopping import failed_after, tripped_after
from orchestration.rollout.simulation.worlds import ERRORS, INVALID, NOISE
from serving_gateway.contracts.split import place
from serving_gateway.control.reflex import TripPolicy

WEIGHT_BP = 1000  # the canary's share of the keys, and the control's
SHADOWED = 0.1  # of what the baseline answers
SIZES, SIZE_CHANCES = np.array([1, 2, 4, 8]), np.array([0.7, 0.15, 0.1, 0.05])  # rows of a request: a key's habit
LATENCY_NOISE = 0.35  # of its logarithm
# Load, a deviation of the logarithm of latency: it holds for so many requests of all arms, and of it so much goes on.
LOAD_REQUESTS, LOAD_MEMORY, LOAD_SPREAD = 100, 0.9, 0.3
BURST_CHANCE, BURST = 0.02, 1.2  # of such a stretch; added to the load


@dataclass(frozen=True)
class Traffic:
    """A stretch of the stream with its circumstances, n requests in order, shape [n] each.

    `arm`: 0 the baseline's, 1 the canary's, 2 the control's. `failing`: the chance that a request fails, whoever scores it.
    """

    log_odds: Floats
    labels: Floats
    arm: NDArray[np.int64]
    size: NDArray[np.int64]
    load: Floats
    failing: Floats


def stream_stops(rng: np.random.Generator, flights: Flights, requests: int, policy: EvidencePolicy) -> dict[str, float]:
    """The canary requests after which each test stops the innocent canary of one run, infinite for never.

    Of `unpaired_*`: 0 where a single z-test of the two arms' own rows rejects at the end of the run, infinite where not.
    """
    traffic = drawn_traffic(rng, flights, requests)
    canary = traffic.arm == 1
    failed, other_failed = (rng.random((2, len(canary))) < traffic.failing)[:, canary]
    invalid, other_invalid = (rng.random((2, len(canary))) < INVALID)[:, canary]
    served, other = traffic.log_odds + rng.normal(0, NOISE, (2, len(canary)))
    both = canary | (rng.random(len(canary)) < SHADOWED)
    losses = brier_differences(traffic.labels, sigmoid(other), sigmoid(served))
    differences: dict[CriterionName, Floats] = {
        "errors": failed.astype(np.float64) - other_failed,
        "invalid_outputs": invalid.astype(np.float64) - other_invalid,
        "score_shift": np.clip(served - other, -1, 1)[both],
        "loss": losses[both],
    }
    stops: dict[str, float] = {name: float(failed_after(name, x, policy)) for name, x in differences.items()}
    latency = np.exp(traffic.load + rng.normal(0, LATENCY_NOISE, len(canary))) * np.sqrt(traffic.size)
    stops["latency"] = latency_stop(traffic, latency, policy)
    stops["reflex"] = float(tripped_after(failed, TripPolicy()))
    return stops | _unpaired(traffic, latency, served)


def latency_stop(traffic: Traffic, latency: Floats, policy: EvidencePolicy) -> float:
    """The canary requests after which the latency test stops it."""
    compared = np.flatnonzero(traffic.arm > 0)
    of_canary = traffic.arm[compared] == 1
    # The blocks hold positions in the stream, so that it is known when each was complete.
    found = np.array(
        list(blocks(zip(of_canary.tolist(), traffic.size[compared].tolist(), compared.tolist(), strict=True)))
    )
    index = found.astype(np.int64)
    after = failed_after("latency", slower(latency[index[:, 0]], latency[index[:, 1]]), policy)
    if not np.isfinite(after):
        return float("inf")
    complete = index[int(after) - 1].max()
    return float((traffic.arm[: complete + 1] == 1).sum())


def drawn_traffic(rng: np.random.Generator, flights: Flights, requests: int) -> Traffic:
    """The stream from a random flight on, around the end of the year, until the canary has had so many requests.

    Raises:
        ValueError: the canary's keys do not have so many flights.
    """
    salt = rng.bytes(8).hex()
    codes = {"baseline": 0, "canary": 1, "control": 2}
    places = np.array([codes[place(salt, key, WEIGHT_BP)] for key in flights.keys])
    size_of_key = rng.choice(SIZES, len(flights.keys), p=SIZE_CHANCES)
    count = len(flights.labels)
    order = (rng.integers(count) + np.arange(2 * count)) % count
    canary = np.flatnonzero(places[flights.key[order]] == 1)
    if len(canary) < requests:
        raise ValueError(f"the canary has {len(canary)} requests, not {requests}: take more flights")
    order = order[: canary[requests - 1] + 1]
    key = flights.key[order]
    load = drawn_load(rng, len(order))
    # The reflex stops what fails more than its policy tolerates, in a burst too: an innocent canary does not.
    failing = np.minimum(ERRORS / 2 * np.exp(2 * load), TripPolicy().tolerated)
    return Traffic(flights.log_odds[order], flights.labels[order], places[key], size_of_key[key], load, failing)


def drawn_load(rng: np.random.Generator, count: int) -> Floats:
    """An autoregressive load of order one with bursts, shape [count]."""
    stretches = count // LOAD_REQUESTS + 1
    shocks = rng.normal(0, LOAD_SPREAD * np.sqrt(1 - LOAD_MEMORY**2), stretches)
    load = np.empty(stretches)
    now = rng.normal(0, LOAD_SPREAD)
    for at, shock in enumerate(shocks):
        now = LOAD_MEMORY * now + shock
        load[at] = now
    load += BURST * (rng.random(stretches) < BURST_CHANCE)
    return np.repeat(load, LOAD_REQUESTS)[:count]


def _unpaired(traffic: Traffic, latency: Floats, served: Floats) -> dict[str, float]:
    """What the arms' own rows say, each at the nominal level of five in a hundred, looked at once."""
    canary, control = traffic.arm == 1, traffic.arm == 2
    loss = (sigmoid(served) - traffic.labels) ** 2
    values = {"labels": traffic.labels, "score": served, "loss": loss, "latency": np.log(latency)}
    return {
        f"unpaired_{name}": 0.0 if z_at_end(value[canary], value[control]) else float("inf")
        for name, value in values.items()
    }
