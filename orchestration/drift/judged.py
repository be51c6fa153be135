"""The whole report on the prediction log: the two windows, the thresholds, the page, the verdict."""

import statistics
from dataclasses import dataclass
from datetime import datetime, timedelta

from orchestration.drift.report import DriftReport, sample, write_report
from orchestration.drift.thresholds import fitted_thresholds, past_windows
from orchestration.drift.verdict import DriftVerdict, judge_drift
from orchestration.drift.windows import TIME, logged_window, training_window
from orchestration.settings import Settings
from serving_gateway.control.store import RolloutStore


@dataclass(frozen=True)
class JudgedReport:
    """A report, what it says, and how many rows it is about."""

    report: DriftReport
    verdict: DriftVerdict
    rows: int
    reference_rows: int


def report_on_log(settings: Settings, store: RolloutStore, *, now: datetime, length: timedelta) -> JudgedReport:
    """Compare the requests of (now - length, now] with the baseline's training window, and judge.

    Raises:
        NoRolloutError: nothing is served yet.
        MissingPartitionError: days of the training window are not in the lake.
        DriftInputError: nothing was logged in that window.
    """
    contract = store.baseline_contract()

    def same_inputs(digest: str) -> bool:
        found = store.contract(digest)
        return found is not None and found.signature == contract.signature

    current = logged_window(settings.lake, contract, now - length, now, same_inputs=same_inputs)
    trained_on = training_window(settings.lake, contract)
    past = past_windows(trained_on, end=datetime.fromisoformat(contract.training_end), length=length)
    reference = trained_on.drop(TIME)
    report = write_report(
        reference,
        current,
        settings.reports / "drift",
        f"{now:%Y-%m-%dT%H%M}",
        thresholds=fitted_thresholds(sample(reference), past),
    )
    verdict = judge_drift(
        report.drifted,
        compared=len(report.scores),
        rows=current.height,
        usual_rows=statistics.median(window.height for window in past) if past else None,
    )
    return JudgedReport(report, verdict, current.height, reference.height)
