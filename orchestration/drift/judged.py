"""The whole report on the prediction log: the two windows, what is usual, the checks, the page, the verdict."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import polars as pl

from orchestration.drift.checks import CHECKS, data_checks
from orchestration.drift.data_quality import usual_height
from orchestration.drift.drawing import Draw, drawing
from orchestration.drift.figures import DriftFigures, Said, earlier
from orchestration.drift.front import Context, front
from orchestration.drift.health import last_health
from orchestration.drift.report import Comparison, DriftReport, compare, write_report
from orchestration.drift.thresholds import fitted_thresholds, past_windows
from orchestration.drift.verdict import DriftVerdict, judge_drift
from orchestration.drift.windows import TIME, inputs_of, logged_height, logged_rows, training_window
from orchestration.settings import Settings
from orchestration.training.contract import triton_name
from serving_gateway.contracts import ModelContract
from serving_gateway.contracts.rollout import RolloutState
from serving_gateway.control.store import RolloutStore

_WEEK = timedelta(days=7)
_DAY = timedelta(days=1)


@dataclass(frozen=True)
class JudgedReport:
    """A report, what it says, and how many rows it is about; no report where there was nothing to compare.

    `checks` holds a verdict for each of `checks.CHECKS`.
    """

    report: DriftReport | None
    verdict: DriftVerdict
    rows: int
    reference_rows: int
    checks: dict[str, Said] = field(default_factory=dict)


def report_on_log(settings: Settings, store: RolloutStore, *, now: datetime, length: timedelta) -> JudgedReport:
    """Compare the requests of (now - length, now] with the baseline's training window, and judge.

    Inconclusive where nothing was logged, where it was too little, and where it is not known what is usual.

    Raises:
        NoRolloutError: nothing is served yet.
        MissingPartitionError: days of the training window are not in the lake.
        DriftInputError: no column has values in both windows.
        ValueError: an earlier report's JSON cannot be read.
    """
    with drawing(logged_height(settings.lake, now - length, now)) as draw:
        return _reported(settings, store, draw, now=now, length=length)


def _reported(settings: Settings, store: RolloutStore, draw: Draw, *, now: datetime, length: timedelta) -> JudgedReport:
    contract = store.baseline_contract()
    logged = logged_rows(settings.lake, contract, now - length, now, same_inputs=_same_inputs(store, contract))
    trained_on = training_window(settings.lake, contract)
    if logged.is_empty():
        return _nothing(now, length, reference_rows=trained_on.height)
    past = past_windows(trained_on, end=datetime.fromisoformat(contract.training_end), length=length)
    reference, current = trained_on.drop(TIME), inputs_of(logged, contract)
    compared = compare(reference, current, fitted_thresholds(reference, past))
    drawn = draw(reference, current, compared.limits)
    verdict = _judge(compared, past, rows=current.height)
    folder, hours = settings.reports / "drift", length / timedelta(hours=1)
    before = earlier(folder, before=now.astimezone(UTC).isoformat(), hours=hours)
    figures = DriftFigures(
        name=report_name(now, length),
        reference=f"the training window of {triton_name(contract)}",
        current=f"Requests from {now - length:%F %H:%M} to {now:%F %H:%M} (UTC)",
        rows=current.height,
        reference_rows=reference.height,
        verdict=Said(outcome=verdict.outcome, reason=verdict.reason),
        share=verdict.share,
        psi=compared.psi,
        drifted=compared.drifted,
        start=(now - length).astimezone(UTC).isoformat(),
        end=now.astimezone(UTC).isoformat(),
        hours=hours,
        without_values=compared.without_values,
        **data_checks(reference, current, past, logged, contract, earlier=before),
    )
    opening = front(figures, Context(before, last_health(settings.reports), decided(store.read(), contract)))
    report = write_report(drawn.result(), folder, figures, front=opening)
    return JudgedReport(report, verdict, current.height, reference.height, figures.checks)


def report_name(now: datetime, length: timedelta) -> str:
    """`2013-05-06T2300` of a day's window, `2013-05-06T2300-week` of a week's, else with its hours."""
    name = f"{now:%Y-%m-%dT%H%M}"
    if length == _DAY:
        return name
    return f"{name}-week" if length == _WEEK else f"{name}-{length / timedelta(hours=1):g}h"


def decided(state: RolloutState | None, contract: ModelContract) -> tuple[str, ...]:
    """Where the rollout stands, in a sentence."""
    if state is None:
        return ()
    canary = state.arms.canary
    trial = f", {canary.triton_model} on trial" if canary and state.phase in {"shadow", "canary"} else ""
    stands = f"the rollout is {state.phase.replace('_', ' ')} since {state.time[:16].replace('T', ' ')} (UTC)"
    return (f"{triton_name(contract)} is the baseline{trial}; {stands}, by {state.actor}: {state.reason}",)


def _same_inputs(store: RolloutStore, contract: ModelContract) -> Callable[[str], bool]:
    def same(digest: str) -> bool:
        found = store.contract(digest)
        return found is not None and found.signature == contract.signature

    return same


def _nothing(now: datetime, length: timedelta, *, reference_rows: int) -> JudgedReport:
    reason = f"no request was logged from {now - length:%F %T} to {now:%F %T} (UTC)"
    checks = dict.fromkeys(CHECKS, Said(outcome="inconclusive", reason=reason))
    return JudgedReport(None, DriftVerdict("inconclusive", 0.0, reason), 0, reference_rows, checks)


def _judge(compared: Comparison, past: Sequence[pl.DataFrame], *, rows: int) -> DriftVerdict:
    if not past:
        share = len(compared.drifted) / len(compared.psi.value)
        return DriftVerdict(
            "inconclusive", share, "the training window holds no window as long: what is usual is unknown"
        )
    return judge_drift(compared.drifted, compared=len(compared.psi.value), rows=rows, usual_rows=usual_height(past))
