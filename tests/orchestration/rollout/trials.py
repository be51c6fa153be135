"""Trials that steps lead, and verdicts on them, for the tests."""

from datetime import UTC, datetime, timedelta

from orchestration.rollout.decide import Judged
from orchestration.rollout.policy import CriterionName
from orchestration.rollout.trial import Trial
from orchestration.rollout.verdict import CRITERIA, CriterionResult, Outcome, Verdict
from serving_gateway.contracts.rollout import Arm, RolloutState
from serving_gateway.control.steps import begin_trial, enter_step
from serving_gateway.control.transitions import first_state

BEGAN = datetime(2013, 5, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
BY = {"actor": "test", "reason": "test", "now": datetime(2026, 5, 1, tzinfo=UTC)}


def arm(version: int) -> Arm:
    return Arm(model="m", version=str(version), triton_model=f"m_v{version}", contract_digest=f"d{version}")


STABLE = first_state(arm(1), **BY)
SHADOW = begin_trial(STABLE, arm(2), weight_bp=0, shadow_fraction=1.0, event_time=BEGAN, **BY)


def at_step(step: int, weight_bp: int) -> RolloutState:
    """The trial of m_v2, begun at BEGAN, that came to `step` a day later each."""
    shadow = 0.0 if weight_bp == 10_000 else 1.0
    return enter_step(
        SHADOW,
        step,
        weight_bp=weight_bp,
        shadow_fraction=shadow,
        event_time=BEGAN + 24 * step * HOUR,
        evidence="e",
        **BY,
    )


def verdict(
    outcomes: dict[CriterionName, Outcome] | None = None, *, rows: int = 10_000, labels: int = 10_000
) -> Verdict:
    """One whose tests are inconclusive but for `outcomes`, with the whole's outcome as the judge finds it."""
    found: dict[CriterionName, Outcome] = dict.fromkeys(CRITERIA, "inconclusive") | (outcomes or {})  # type: ignore[assignment]
    counts: dict[CriterionName, int] = {"loss": labels, "score_shift": rows}
    criteria = tuple(
        CriterionResult(name, outcome, f"what {name} found", counts.get(name, rows), 0.0)
        for name, outcome in found.items()
    )
    decisive: tuple[Outcome, ...] = ("fail", "error")
    whole = next((outcome for outcome in decisive if outcome in found.values()), found["loss"])
    return Verdict(whole, f"it is {whole}", criteria)


PASSED = verdict({"loss": "pass"})


def judged(state: RolloutState, found: Verdict, event_time: datetime) -> Judged:
    """`found` of the trial of `state`."""
    trial = Trial.of(state)
    assert trial is not None
    return Judged(trial, state.position, state.arms.baseline.triton_model, event_time, found)
