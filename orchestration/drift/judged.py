"""The whole report on the prediction log: the two windows, the thresholds, the page, the verdict."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import polars as pl

from orchestration.drift.report import DriftReport, sample, write_report
from orchestration.drift.thresholds import fitted_thresholds, past_windows
from orchestration.drift.verdict import DriftVerdict, judge_drift
from orchestration.drift.windows import TIME, logged_window, training_window
from orchestration.settings import Settings
from serving_gateway.control.store import RolloutStore


@dataclass(frozen=True)
class JudgedReport:
    """A report, what it says, and how many rows it is about; no report where there was nothing to compare."""

    report: DriftReport | None
    verdict: DriftVerdict
    rows: int
    reference_rows: int


def report_on_log(settings: Settings, store: RolloutStore, *, now: datetime, length: timedelta) -> JudgedReport:
    """Compare the requests of (now - length, now] with the baseline's training window, and judge.

    Inconclusive where nothing was logged, where it was too little, and where it is not known what is usual.

    Raises:
        NoRolloutError: nothing is served yet.
        MissingPartitionError: days of the training window are not in the lake.
        DriftInputError: no column has values in both windows.
    """
    contract = store.baseline_contract()

    def same_inputs(digest: str) -> bool:
        found = store.contract(digest)
        return found is not None and found.signature == contract.signature

    current = logged_window(settings.lake, contract, now - length, now, same_inputs=same_inputs)
    trained_on = training_window(settings.lake, contract)
    if current.is_empty():
        said = DriftVerdict(
            "inconclusive", 0.0, f"no request was logged from {now - length:%F %T} to {now:%F %T} (UTC)"
        )
        return JudgedReport(None, said, 0, trained_on.height)
    past = past_windows(trained_on, end=datetime.fromisoformat(contract.training_end), length=length)
    reference = trained_on.drop(TIME)
    report = write_report(
        reference,
        current,
        settings.reports / "drift",
        f"{now:%Y-%m-%dT%H%M}",
        thresholds=fitted_thresholds(sample(reference), past),
    )
    return JudgedReport(report, _judge(report, past, rows=current.height), current.height, reference.height)


def _judge(report: DriftReport, past: Sequence[pl.DataFrame], *, rows: int) -> DriftVerdict:
    if not past:
        share = len(report.drifted) / len(report.scores)
        return DriftVerdict(
            "inconclusive", share, "the training window holds no window as long: what is usual is unknown"
        )
    usual_rows = statistics.median(window.height for window in past)
    return judge_drift(report.drifted, compared=len(report.scores), rows=rows, usual_rows=usual_rows)
