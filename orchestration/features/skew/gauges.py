"""A day's skew verdict as gauges."""

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from orchestration.features.skew.judged import JudgedDay
from orchestration.gauges import FOLDER, Gauge

_OUTCOMES = ("pass", "fail", "inconclusive")


def gauges_path(reports: Path) -> Path:
    """`reports`/prometheus/skew.prom.txt."""
    return reports / FOLDER / "skew.prom.txt"


def skew_gauges(judged: JudgedDay, now: datetime) -> list[Gauge]:
    """The verdict, and of each feature the share of rows that differ; `now` is the wall clock's time of the look."""
    return list(_gauges(judged, now))


def _gauges(judged: JudgedDay, now: datetime) -> Iterator[Gauge]:
    for outcome in _OUTCOMES:
        found = float(judged.verdict.outcome == outcome)
        yield Gauge("skew_verdict", {"outcome": outcome}, found, "1 for the outcome of the last checked day")
    yield Gauge("skew_look_timestamp_seconds", {}, now.timestamp(), "When the day was checked")
    if judged.report is not None:
        yield Gauge("skew_rows", {}, judged.report.rows, "Logged rows that were recomputed")
        for feature in judged.report.features:
            said = "Share of these rows in which the served feature is not the offline one"
            yield Gauge("skew_differing_share", {"feature": feature.feature}, feature.share, said)
