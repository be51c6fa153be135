"""What follows from a verdict on a trial that steps lead: a pure function of state, verdict, policy and event time."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from orchestration.rollout.policy import CriterionName, RolloutPolicy, Step
from orchestration.rollout.trial import Trial
from orchestration.rollout.verdict import Verdict
from serving_gateway.contracts.rollout import RolloutState, TrialMark
from serving_gateway.control.transitions import on_trial


@dataclass(frozen=True)
class Judged:
    """A verdict, and what it was found on: the trial, the position of the rollout's state then, the event time.

    `baseline` is the Triton model that the trial's was compared with.
    """

    trial: Trial
    position: tuple[int, int]
    baseline: str
    event_time: datetime
    verdict: Verdict


@dataclass(frozen=True)
class Decision:
    """`reason` is a sentence for people: what is missing, or what was found."""

    reason: str


class Wait(Decision):
    """Nothing changes."""


@dataclass(frozen=True)
class GoOn(Decision):
    """The trial comes to `step` of the policy."""

    step: int


class Settle(Decision):
    """The promoted model becomes the baseline."""


class RollBack(Decision):
    """The model has been shown to be worse."""


class GiveUp(Decision):
    """The trial has been undecided for too long; it is rolled back, for absence of evidence never promotes."""


def decide(state: RolloutState, verdict: Verdict, policy: RolloutPolicy, now: datetime) -> Decision:
    """What to do with the trial of `state`, on which `verdict` was found at the event time `now`.

    A failed verdict ends any trial, one that is held or led by hand too. A hold keeps a trial where it is, for as long as
    it stands. Else the trial leaves its step once everything that the step asks for is there: hours, rows that both models
    scored, labels, passed tests, an approval. All of it counts over the whole trial but the hours and the approval, which
    are the step's own.
    """
    if not on_trial(state):
        return Wait("no model is on trial")
    if verdict.outcome == "fail":
        return RollBack(verdict.reason)
    trial = state.trial
    if trial is None or trial.step is None:
        return Wait("led by hand: it is rolled back where it fails, and goes nowhere by itself")
    if trial.held:
        return Wait(f"held by {trial.held}")
    at = min(trial.step, len(policy.steps) - 1)  # a policy may have become shorter meanwhile
    missing = _missing(trial, policy.steps[at], verdict, now)
    if missing:
        return _patience(trial, policy, "; ".join(missing), now)
    return _beyond(state, at, policy)


def _patience(trial: TrialMark, policy: RolloutPolicy, missing: str, now: datetime) -> Decision:
    hours = _hours(datetime.fromisoformat(trial.began), now)
    if hours >= policy.longest_hours:
        return GiveUp(
            f"undecided after {hours:.0f} h of event time, the policy allows {policy.longest_hours:g}: {missing}"
        )
    return Wait(missing)


def _beyond(state: RolloutState, at: int, policy: RolloutPolicy) -> Decision:
    last = len(policy.steps) - 1
    if at == last and state.phase == "promoted":
        return Settle("everything that the last step asks for is there")
    step = min(at + 1, last)
    share = f"{policy.steps[step].weight * 100:g} % of the keys"
    return GoOn(f"everything that step {at} asks for is there: on to step {step} of {last}, {share}", step)


def _missing(trial: TrialMark, step: Step, verdict: Verdict, now: datetime) -> list[str]:
    if verdict.outcome == "error":
        return [f"the evidence cannot be judged, somebody has to look: {verdict.reason}"]
    if not verdict.criteria:
        return [verdict.reason]
    found = []
    left = step.hold_hours - _hours(datetime.fromisoformat(trial.entered), now)
    if left > 0:
        found.append(f"{_duration(left)} of the step's {step.hold_hours:g} h are left")
    counted: tuple[tuple[str, CriterionName, int], ...] = (
        ("rows that both scored", "score_shift", step.rows),
        ("labels", "loss", step.labels),
    )
    for what, name, wanted in counted:
        if verdict.criterion(name).rows < wanted:
            found.append(f"{verdict.criterion(name).rows} of {wanted} {what}")
    needed = [verdict.criterion(name) for name in step.needs]
    found += [f"{one.name} has not passed: {one.reason}" for one in needed if one.outcome != "pass"]
    if step.approval and not trial.approved:
        found.append("somebody has to approve")
    return found


def _hours(since: datetime, now: datetime) -> float:
    return (now - since) / timedelta(hours=1)


def _duration(hours: float) -> str:
    return f"{hours:.1f} h" if hours >= 1 else f"{hours * 60:.0f} min"
