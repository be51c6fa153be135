"""What is simulated: innocent canaries, faults of a given size, promotions; each experiment makes runs side by side.

Every experiment gives, for each method that looks at it, the canary requests (or labels) after which each run is decided,
infinite where it never is.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from orchestration.rollout.betting import Floats
from orchestration.rollout.latency import BLOCK
from orchestration.rollout.pairing import brier_differences
from orchestration.rollout.policy import EvidencePolicy
from orchestration.rollout.simulation import worlds
from orchestration.rollout.simulation.flights import Flights, sigmoid
from orchestration.rollout.simulation.rivals import flagger_after, ks_after, z_after
from orchestration.rollout.simulation.stopping import failed_after, passed_after, tripped_after
from orchestration.rollout.simulation.stream import stream_stops
from serving_gateway.control.reflex import TripPolicy

ERRORS_OF_A_BAD_CANARY = 0.012
SLOWDOWN = 1.2
SHIFT = 0.2
AUC_LOST = 0.03
TROUBLE = 0.05


@dataclass(frozen=True)
class Material:
    """What experiments draw from: flights, and the log-odds [n] of a model whose AUC on them is AUC_LOST lower."""

    flights: Flights
    weaker: Floats
    policy: EvidencePolicy
    requests: int


Found = Mapping[str, Floats]
Experiment = Callable[[np.random.Generator, int, Material], Found]


def innocent(rng: np.random.Generator, runs: int, material: Material) -> Found:
    """No difference between the arms, and rows that do not depend on each other."""
    shape, policy = (runs, material.requests), material.policy
    errors = worlds.failures(rng, shape, worlds.ERRORS, worlds.ERRORS)
    invalid = worlds.failures(rng, shape, worlds.INVALID, worlds.INVALID)
    latency = worlds.latencies(rng, shape)
    scores, losses = _own_rows(rng, material, shape, 0.0), _own_losses(rng, material, shape, weaker=False)
    return {
        "errors": failed_after("errors", errors.differences, policy),
        "invalid_outputs": failed_after("invalid_outputs", invalid.differences, policy),
        "score_shift": failed_after("score_shift", worlds.shifts(rng, shape), policy),
        "latency": failed_after("latency", worlds.latency_blocks(latency), policy) * BLOCK,
        "loss": failed_after("loss", worlds.equal_losses(rng, material.flights, shape), policy),
        # an innocent canary fails no more than its policy tolerates, with errors and invalid outputs together
        "reflex": tripped_after(rng.random(shape) < TripPolicy().tolerated, TripPolicy()),
        "z_errors": z_after(errors.canary, errors.other),
        "z_latency": z_after(latency.canary, latency.other),
        "z_score": z_after(scores.canary, scores.other, two_sided=True),
        "z_loss": z_after(losses.canary, losses.other),
        "ks_latency": ks_after(latency.canary, latency.other),
        "ks_score": ks_after(scores.canary, scores.other),
        "ks_loss": ks_after(losses.canary, losses.other),
        "flagger_errors": flagger_after(errors.canary > 0),
    }


def stream(rng: np.random.Generator, runs: int, material: Material) -> Found:
    """No difference between the arms on the real stream under the sticky split."""
    found = [stream_stops(rng, material.flights, material.requests, material.policy) for _ in range(runs)]
    return {name: np.array([stops[name] for stops in found]) for name in found[0]}


def errors(rng: np.random.Generator, runs: int, material: Material) -> Found:
    """The canary fails 1.2 % of its requests, the baseline .2 %."""
    arms = worlds.failures(rng, (runs, material.requests), ERRORS_OF_A_BAD_CANARY, worlds.ERRORS)
    return {
        "ours": failed_after("errors", arms.differences, material.policy),
        "reflex": tripped_after(arms.canary > 0, TripPolicy()),
        "z": z_after(arms.canary, arms.other),
        "flagger": flagger_after(arms.canary > 0),
    }


def latency(rng: np.random.Generator, runs: int, material: Material) -> Found:
    """The canary takes 20 % longer."""
    arms = worlds.latencies(rng, (runs, material.requests), SLOWDOWN)
    ours = failed_after("latency", worlds.latency_blocks(arms), material.policy) * BLOCK
    return {"ours": ours, "z": z_after(arms.canary, arms.other), "ks": ks_after(arms.canary, arms.other)}


def score(rng: np.random.Generator, runs: int, material: Material) -> Found:
    """The canary's log-odds are .2 higher than its model says."""
    shape = (runs, material.requests)
    arms = _own_rows(rng, material, shape, SHIFT)
    return {
        "ours": failed_after("score_shift", worlds.shifts(rng, shape, SHIFT), material.policy),
        "z": z_after(arms.canary, arms.other, two_sided=True),
        "ks": ks_after(arms.canary, arms.other),
    }


def auc_labels(rng: np.random.Generator, runs: int, material: Material) -> Found:
    """The canary's AUC is .03 lower; in labels."""
    shape = (runs, material.requests)
    arms = _own_losses(rng, material, shape, weaker=True)
    return {
        "ours": failed_after("loss", _losses(rng, material, shape, weaker=1), material.policy),
        "z": z_after(arms.canary, arms.other),
        "ks": ks_after(arms.canary, arms.other),
    }


def worse_by_delta(rng: np.random.Generator, runs: int, material: Material) -> Found:
    """The canary's loss is higher by exactly delta: it must not pass. In labels."""
    delta = material.policy.tests.loss.delta
    shape = (runs, material.requests)
    flights = material.flights
    real = brier_differences(flights.labels, sigmoid(flights.log_odds), sigmoid(material.weaker))
    moved = np.clip(real + (delta - real.mean()), -1, 1)[rng.integers(0, len(real), shape)]
    coarse = np.where(rng.random(shape) < 0.5 + delta / 0.8, 0.4, -0.4)
    return {
        "real differences": passed_after("loss", moved, material.policy),
        "two points": passed_after("loss", coarse, material.policy),
    }


def trouble(rng: np.random.Generator, runs: int, material: Material) -> Found:
    """Both arms fail 5 % of their requests, each by itself: the canary is innocent, and more than is tolerated."""
    arms = worlds.failures(rng, (runs, material.requests), TROUBLE, TROUBLE)
    return {"ours": failed_after("errors", arms.differences, material.policy), "z": z_after(arms.canary, arms.other)}


def equal(rng: np.random.Generator, runs: int, material: Material) -> Found:
    """A model that is as good as the baseline, each in its way. In labels."""
    losses = worlds.equal_losses(rng, material.flights, (runs, material.requests))
    return {"ours": passed_after("loss", losses, material.policy)}


def better(rng: np.random.Generator, runs: int, material: Material) -> Found:
    """A model whose AUC is .03 higher. In labels."""
    losses = _losses(rng, material, (runs, material.requests), weaker=-1)
    return {"ours": passed_after("loss", losses, material.policy)}


def late(rng: np.random.Generator, runs: int, material: Material) -> Found:
    """The same faults, each after half of the requests were good; counted from there, below 0 where it was stopped before."""
    good, policy = material.requests // 2, material.policy
    shape = (runs, good)
    failing = worlds.failures(rng, shape, worlds.ERRORS, worlds.ERRORS).then(
        worlds.failures(rng, shape, ERRORS_OF_A_BAD_CANARY, worlds.ERRORS)
    )
    slow = worlds.latency_blocks(worlds.latencies(rng, shape).then(worlds.latencies(rng, shape, SLOWDOWN)))
    shifted = np.concatenate([worlds.shifts(rng, shape), worlds.shifts(rng, shape, SHIFT)], axis=-1)
    equal_then_weaker = (worlds.equal_losses(rng, material.flights, shape), _losses(rng, material, shape, weaker=1))
    erring = failed_after("errors", failing.differences, policy)
    found = {
        "errors": np.minimum(erring, tripped_after(failing.canary > 0, TripPolicy())),
        "latency": failed_after("latency", slow, policy) * BLOCK,
        "score": failed_after("score_shift", shifted, policy),
        "auc_labels": failed_after("loss", np.concatenate(equal_then_weaker, axis=-1), policy),
    }
    return {name: stops - good for name, stops in found.items()}


EXPERIMENTS: Mapping[str, Experiment] = {
    found.__name__: found
    for found in (innocent, stream, errors, latency, score, auc_labels, trouble, worse_by_delta, equal, better, late)
}


def _losses(rng: np.random.Generator, material: Material, shape: tuple[int, int], *, weaker: int) -> Floats:
    """Differences of squared error on the same rows; `weaker`: 1 where the canary is the weaker model, -1 the baseline."""
    rows = rng.integers(0, len(material.weaker), shape)
    labels, strong, weak = (x[rows] for x in (material.flights.labels, material.flights.log_odds, material.weaker))
    return weaker * brier_differences(labels, sigmoid(strong), sigmoid(weak))


def _own_losses(rng: np.random.Generator, material: Material, shape: tuple[int, int], *, weaker: bool) -> worlds.Arms:
    """Squared errors of either arm's own rows, as tools without paired rows compare them."""

    def of(log_odds: Floats) -> Floats:
        rows = rng.integers(0, len(log_odds), shape)
        squared: Floats = (sigmoid(log_odds[rows]) - material.flights.labels[rows]) ** 2
        return squared

    return worlds.Arms(of(material.weaker if weaker else material.flights.log_odds), of(material.flights.log_odds))


def _own_rows(rng: np.random.Generator, material: Material, shape: tuple[int, int], shift: float) -> worlds.Arms:
    """Log-odds of either arm's own rows."""
    (canary, _), (other, _) = (worlds.drawn(rng, material.flights, shape) for _ in range(2))
    return worlds.Arms(canary + shift, other)
