"""Windows for the tests: labels drawn from scores, true or not."""

from datetime import date, datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from orchestration.health.label_free import estimated, track_record
from orchestration.health.past import PastWindow
from orchestration.health.report import DayHealth, HealthReport, JudgedWindow
from orchestration.health.thresholds import HealthThresholds
from orchestration.health.verdict import HealthVerdict, WindowVerdict
from orchestration.health.windows import WindowHealth, window_health

USUAL = HealthThresholds(surprise=0.02, bias=0.03, windows=9, enough=True)


def scores(seed: int, rows: int = 4000) -> NDArray[np.float64]:
    """Like those of a delay model: a quarter of the flights is late."""
    return np.random.default_rng(seed).beta(1.2, 3.6, rows)


def drawn(p: NDArray[np.float64], seed: int) -> NDArray[np.int8]:
    """Labels that are 1 with chance `p`."""
    return (np.random.default_rng(seed).random(len(p)) < p).astype(np.int8)


def shifted(p: NDArray[np.float64], log_odds: float) -> NDArray[np.float64]:
    """`p` moved by so much in log-odds."""
    return p * np.exp(log_odds) / (1 - p + p * np.exp(log_odds))


def health(seed: int, *, rows: int = 4000, log_odds: float = 0.0) -> WindowHealth:
    """A window whose truth lies `log_odds` above the scores."""
    p = scores(seed, rows)
    return window_health(drawn(shifted(p, log_odds), seed + 1_000_000), p)


def figures(seed: int, first: date, days: int = 7) -> PastWindow:
    p = scores(seed, 600)
    return PastWindow(first, first + timedelta(days=days), window_health(drawn(p, seed + 9), p), estimated(p))


def looked(triton_model: str, verdict: HealthVerdict, as_of: datetime) -> HealthReport:
    """A look that found two windows, one of them without labels, and a day."""
    monday = date(2013, 4, 1)
    one, day = figures(1, monday), figures(2, monday, days=1)
    windows = [
        JudgedWindow(WindowVerdict(one.first, one.end, "good", "said"), one, 600),
        JudgedWindow(WindowVerdict(one.end, one.end + timedelta(days=7), "inconclusive", "no labels"), None, 10),
    ]
    return HealthReport(
        triton_model=triton_model, as_of=as_of, verdict=verdict, watermark=as_of - timedelta(hours=2), late_labels="",
        thresholds=USUAL, windows=windows, days=[DayHealth(monday, day)], estimated_rows=600,
        estimates=estimated(scores(3, 600)), record=track_record([(one.estimates, one.health)]),
    )  # fmt: skip
