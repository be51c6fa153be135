"""A drift report's figures as gauges."""

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from orchestration.drift.checks import CHECKS
from orchestration.drift.figures import DriftFigures, Levels
from orchestration.drift.judged import JudgedReport
from orchestration.gauges import FOLDER, Gauge

_OUTCOMES = ("pass", "fail", "inconclusive")


def gauges_path(reports: Path, hours: float) -> Path:
    """`reports`/prometheus/drift-24h.prom.txt, of the reports on windows of 24 hours."""
    return reports / FOLDER / f"drift-{hours:g}h.prom.txt"


def drift_gauges(judged: JudgedReport, *, hours: float, as_of: datetime, now: datetime) -> list[Gauge]:
    """What a report says, as gauges; without a report its verdicts alone.

    `as_of` is where the event clock stood, `now` the wall clock's time of the look.
    """
    window = {"hours": f"{hours:g}"}
    said = {"inputs": judged.verdict.outcome, **{name: judged.checks[name].outcome for name in CHECKS}}
    about = [
        Gauge("drift_rows", window, judged.rows, "Logged requests that were compared"),
        Gauge("drift_window_end_timestamp_seconds", window, as_of.timestamp(), "Event time at which the window ends"),
        Gauge("drift_look_timestamp_seconds", window, now.timestamp(), "When the report was made"),
    ]
    verdicts = [
        Gauge(
            "drift_verdict",
            {**window, "check": check, "outcome": outcome},
            float(outcome == found),
            "1 for the outcome of each check: inputs (drift), nulls, ranges, freshness",
        )
        for check, found in said.items()
        for outcome in _OUTCOMES
    ]
    return about + verdicts + (list(_measured(judged.report.figures, window)) if judged.report else [])


def _measured(figures: DriftFigures, window: dict[str, str]) -> Iterator[Gauge]:
    yield Gauge("drift_share", window, figures.share, "Of the compared features, those that have drifted")
    yield Gauge("drift_degraded_share", window, figures.degraded, "Rows answered without the online store")
    by_feature = (
        ("drift_psi", figures.psi, "Population stability index", "PSI from which a feature counts as drifted"),
        ("drift_null_share", figures.nulls, "Rows without a value", "Share of nulls above which it is an alarm"),
        ("drift_outside_share", figures.outside, "Rows out of range", "Share out of range above which it is an alarm"),
    )
    by_view = (
        (
            "drift_view_stale_share",
            figures.stale,
            "Rows with the view missing or expired",
            "Share above which it is one",
        ),
        ("drift_view_age_seconds", figures.age_s, "Median age of the view where present", "Age above which it is old"),
    )
    for label, measures in (("feature", by_feature), ("view", by_view)):
        for name, levels, what, limit in measures:
            yield from _levels(name, label, levels, window=window, what=what, limit=limit)


def _levels(name: str, label: str, levels: Levels, *, window: dict[str, str], what: str, limit: str) -> Iterator[Gauge]:
    yield from (Gauge(name, {**window, label: of}, value, what) for of, value in levels.value.items())
    yield from (Gauge(f"{name}_limit", {**window, label: of}, value, limit) for of, value in levels.limit.items())
