"""Is the model well? Windows and thresholds in, verdict and reason out."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Literal

from orchestration.health.policy import HealthPolicy, RetrainingPolicy
from orchestration.health.thresholds import HealthThresholds
from orchestration.health.windows import WindowHealth

Outcome = Literal["good", "bad", "inconclusive"]


@dataclass(frozen=True)
class WindowVerdict:
    """On the window of the days [`first`, `end`)."""

    first: date
    end: date
    outcome: Outcome
    reason: str


@dataclass(frozen=True)
class HealthVerdict:
    """`bad` where enough windows running are bad: then `as_of` is the end of the last of them.

    `as_of` is the end of the last window that could be judged, None where none could.
    """

    outcome: Outcome
    reason: str
    as_of: date | None


@dataclass(frozen=True)
class Retraining:
    """Whether a new model is due, and why or why not."""

    due: bool
    reason: str


def judge_window(
    days: tuple[date, date],
    health: WindowHealth | None,
    thresholds: HealthThresholds,
    policy: HealthPolicy,
    *,
    predictions: int | None = None,
) -> WindowVerdict:
    """Judge one window whose labels have all come.

    Args:
        days: [first, end) of the window.
        health: of its labelled rows; None where there are none.
        thresholds: what is usual.
        policy: the numbers.
        predictions: how many were made in the window, labelled or not; None where that is the labelled rows.
    """
    rows = health.rows if health else 0
    made = rows if predictions is None else predictions
    if health is None or rows < policy.windows.fewest_rows:
        said = f"{rows} labelled rows, {policy.windows.fewest_rows} are needed"
        return WindowVerdict(*days, "inconclusive", said)
    if rows < policy.windows.fewest_labels * made:
        # rows that have no label are seldom like the others: cancelled ones, or those that went well
        said = f"{rows} of {made} predictions have a label, {policy.windows.fewest_labels:.0%} are needed"
        return WindowVerdict(*days, "inconclusive", said)
    if not thresholds.enough:
        known, needed = thresholds.windows, policy.thresholds.fewest_windows
        return WindowVerdict(
            *days, "inconclusive", f"{known} past windows are known, {needed} are needed to say what is usual"
        )
    surprise, bias = _limits(health, thresholds, policy)
    said = (
        f"surprise {health.surprise:+.4f} (bad above {surprise:.4f}), "
        f"calibration bias {health.calibration_bias:+.4f} (bad beyond {bias:.4f})"
    )
    bad = health.surprise > surprise or abs(health.calibration_bias) > bias
    return WindowVerdict(*days, "bad" if bad else "good", said)


def judge_health(windows: Sequence[WindowVerdict], policy: RetrainingPolicy) -> HealthVerdict:
    """Bad where the last `policy.bad_windows` windows that could be judged are bad. `windows` in order of time."""
    judged = [window for window in windows if window.outcome != "inconclusive"]
    if not judged:
        why = windows[-1].reason if windows else "no window has all its labels yet"
        return HealthVerdict("inconclusive", why, None)
    last = judged[-policy.bad_windows :]
    running = 0
    while running < len(last) and last[-1 - running].outcome == "bad":
        running += 1
    newest = judged[-1]
    said = f"the window from {newest.first} is {newest.outcome}: {newest.reason}"
    if running == policy.bad_windows:
        return HealthVerdict("bad", f"{running} bad windows running; {said}", newest.end)
    more = f"; {policy.bad_windows - running} more running would ask for a new model" if running else ""
    return HealthVerdict("good", said + more, newest.end)


def retraining_due(
    verdict: HealthVerdict, policy: RetrainingPolicy, *, now: datetime, last: datetime | None
) -> Retraining:
    """Whether the verdict asks for a new model at the event time `now`; `last` is when one was asked for before."""
    if verdict.outcome != "bad":
        return Retraining(False, f"the model's health is {verdict.outcome}: {verdict.reason}")
    if last is not None and now < last + policy.every:
        return Retraining(
            False,
            f"{verdict.reason}; but one was asked for as of {last:%Y-%m-%d %H:%M}, and the next may follow "
            f"{policy.every_days:g} days after that in event time",
        )
    return Retraining(True, verdict.reason)


def _limits(health: WindowHealth, thresholds: HealthThresholds, policy: HealthPolicy) -> tuple[float, float]:
    """No less than the noise of so few rows."""
    noise = policy.thresholds.noise
    return max(thresholds.surprise, noise * health.surprise_noise), max(thresholds.bias, noise * health.bias_noise)
