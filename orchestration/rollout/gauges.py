"""The trial as gauges: what the last look found, and where the rollout stands."""

import math
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import get_args

from orchestration.gauges import Gauge
from orchestration.rollout.policy import EvidencePolicy
from orchestration.rollout.trial import Trial
from orchestration.rollout.verdict import CriterionResult, Outcome, Verdict
from serving_gateway.contracts.rollout import BASIS_POINTS, Phase, RolloutState
from serving_gateway.control.store import Acknowledgement

FILE = "rollout.prom.txt"
# A gateway acknowledges every second.
SILENT_AFTER_S = 3.0
_OUTCOMES: tuple[Outcome, ...] = get_args(Outcome)
_PHASES: tuple[Phase, ...] = get_args(Phase)


def evidence_gauges(trial: Trial | None, verdict: Verdict, policy: EvidencePolicy, now: datetime) -> list[Gauge]:
    """What a look at the trial found, test by test; `now` is the wall clock's time of the look.

    Evidence is the decimal logarithm of a test's largest betting wealth, beside the one at which the test decides
    (Ville's inequality: 1 / alpha).
    """
    canary = {"canary": trial.canary if trial else "none"}
    looked = Gauge("rollout_judged_timestamp_seconds", {}, now.timestamp(), "When the trial was last judged")
    said = _one_of("rollout_verdict", canary, {"outcome": verdict.outcome}, _OUTCOMES, "1 for the verdict on the trial")
    tests = [gauge for result in verdict.criteria for gauge in _of_test(result, canary, policy)]
    return [looked, *said, *tests]


def state_gauges(state: RolloutState) -> list[Gauge]:
    """The rollout as the store has it; the time in UNIX seconds."""
    named = {"baseline": state.arms.baseline, "canary": state.arms.canary, "shadow": state.arms.shadow}
    arms = [
        Gauge(
            "rollout_arm",
            {"arm": name, "model": arm.model, "version": arm.version},
            1,
            "1 for each arm that the rollout names",
        )
        for name, arm in named.items()
        if arm is not None
    ]
    step = state.trial.step if state.trial and state.trial.step is not None else -1
    held = bool(state.trial and state.trial.held)
    changed = datetime.fromisoformat(state.time).timestamp()
    return [
        *_one_of("rollout_phase", {}, {"phase": state.phase}, _PHASES, "1 for the phase of the rollout"),
        *arms,
        Gauge("rollout_state_epoch", {}, state.epoch, "Epoch of the state in the store"),
        Gauge("rollout_state_generation", {}, state.generation, "Generation of the state in the store"),
        Gauge(
            "rollout_state_canary_weight",
            {},
            state.canary_weight_bp / BASIS_POINTS,
            "Share of keys, as the store has it",
        ),
        Gauge("rollout_state_shadow_fraction", {}, state.shadow_fraction, "Share of requests that the shadow scores"),
        Gauge("rollout_state_step", {}, step, "Step of the policy that the trial is at, -1 where no steps lead"),
        Gauge("rollout_state_held", {}, held, "1 while somebody holds the trial at its step"),
        Gauge("rollout_changed_timestamp_seconds", {}, changed, "When the rollout last changed"),
    ]


def convergence_gauges(state: RolloutState, heard: Sequence[tuple[Acknowledgement, float]]) -> list[Gauge]:
    """Gateways by what they last said, with its age in seconds: who serves `state`, who another one, who fell silent."""
    alive = [said.position == state.position for said, age_s in heard if age_s <= SILENT_AFTER_S]
    counted = {"current": sum(alive), "other": len(alive) - sum(alive), "silent": len(heard) - len(alive)}
    help_ = "Gateways that serve the store's state, that serve another one, and that fell silent"
    return [Gauge("rollout_gateways", {"serving": name}, count, help_) for name, count in counted.items()]


def _of_test(result: CriterionResult, canary: dict[str, str], policy: EvidencePolicy) -> Iterator[Gauge]:
    of = {**canary, "test": result.name}
    yield from _one_of(
        "rollout_evidence_outcome", of, {"outcome": result.outcome}, _OUTCOMES, "1 for what a test found"
    )
    yield Gauge("rollout_evidence_rows", of, result.rows, "Differences that a test has seen (latency: blocks)")
    if not math.isnan(result.difference):
        yield Gauge("rollout_evidence_difference", of, result.difference, "Mean difference, canary minus baseline")
    wealth = {"worse": result.e_fail, "not_worse": result.e_pass}
    bounds = {"worse": policy.alpha_of(result.name), "not_worse": policy.alpha_pass}
    for claim, e_value in wealth.items():
        said = {**of, "claim": claim}
        yield Gauge("rollout_evidence_log10", said, _log10(e_value), "Logarithm of the evidence for the claim")
        yield Gauge("rollout_evidence_bound_log10", said, -math.log10(bounds[claim]), "Evidence that decides")


def _one_of(name: str, labels: dict[str, str], found: dict[str, str], values: Sequence[str], said: str) -> list[Gauge]:
    """A gauge for each of `values` of the label in `found`: 1 for the one that it has there."""
    ((label, true),) = found.items()
    return [Gauge(name, {**labels, label: value}, float(value == true), said) for value in values]


def _log10(e_value: float) -> float:
    return math.log10(e_value) if e_value > 0 else -math.inf
