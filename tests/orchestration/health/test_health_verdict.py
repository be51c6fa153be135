"""Windows in, verdict and reason out."""

from datetime import UTC, date, datetime, timedelta

import msgspec
import pytest

from orchestration.health.policy import shipped_health_policy
from orchestration.health.thresholds import HealthThresholds
from orchestration.health.verdict import (
    HealthVerdict,
    Outcome,
    WindowVerdict,
    judge_health,
    judge_window,
    retraining_due,
)
from tests.orchestration.health.windows import USUAL, health

POLICY = shipped_health_policy()
DAYS = (date(2013, 4, 1), date(2013, 4, 8))
NOW = datetime(2013, 5, 1, tzinfo=UTC)
TWO = msgspec.structs.replace(POLICY.retraining, bad_windows=2, every_days=14)


@pytest.mark.parametrize(("log_odds", "outcome"), [(0.0, "good"), (0.6, "bad"), (-0.6, "bad")])
def test_a_window_is_bad_where_the_world_has_left_the_scores(log_odds: float, outcome: Outcome) -> None:
    found = judge_window(DAYS, health(3, log_odds=log_odds), USUAL, POLICY)
    assert (found.first, found.end, found.outcome) == (*DAYS, outcome)
    assert "surprise" in found.reason
    assert "(bad beyond 0.03" in found.reason


def test_a_pleasant_surprise_is_not_bad() -> None:
    """The truth is surer than the scores say: log-loss below what was expected, no bias."""
    calm = health(4)
    better = type(calm)(**{**calm.__dict__, "log_loss": calm.expected_log_loss - 0.1, "calibration_bias": 0.0})
    assert judge_window(DAYS, better, USUAL, POLICY).outcome == "good"


def test_the_noise_of_few_rows_is_no_surprise() -> None:
    """Thresholds of nearly zero: of calibrated windows a sixth is bad, as policy.toml says, give or take four deviations."""
    strict = HealthThresholds(surprise=1e-6, bias=1e-6, windows=9, enough=True)
    outcomes = [judge_window(DAYS, health(seed, rows=600), strict, POLICY).outcome for seed in range(200)]
    assert abs(outcomes.count("bad") / 200 - 0.17) < 4 * (0.17 * 0.83 / 200) ** 0.5


@pytest.mark.parametrize(
    ("rows", "predictions", "thresholds", "reason"),
    [
        (None, None, USUAL, "0 labelled rows, 500 are needed"),
        (499, 499, USUAL, "499 labelled rows, 500 are needed"),
        (1000, 2000, USUAL, "1000 of 2000 predictions have a label, 90% are needed"),
        (1000, 1000, HealthThresholds(0.01, 0.01, 3, enough=False), "3 past windows are known, 4 are needed"),
    ],
)
def test_what_cannot_be_told_is_inconclusive(
    rows: int | None, predictions: int | None, thresholds: HealthThresholds, reason: str
) -> None:
    window = None if rows is None else health(5, rows=rows, log_odds=2.0)
    found = judge_window(DAYS, window, thresholds, POLICY, predictions=predictions)
    assert found.outcome == "inconclusive"
    assert reason in found.reason


def verdicts(outcomes: str) -> list[WindowVerdict]:
    """g, b and i of windows one after the other."""
    names: dict[str, Outcome] = {"g": "good", "b": "bad", "i": "inconclusive"}
    week = timedelta(days=7)
    return [
        WindowVerdict(DAYS[0] + i * week, DAYS[1] + i * week, names[outcome], f"reason {i}")
        for i, outcome in enumerate(outcomes)
    ]


@pytest.mark.parametrize(
    ("outcomes", "outcome", "as_of"),
    [
        ("", "inconclusive", None),
        ("i", "inconclusive", None),
        ("b", "good", 0),
        ("bg", "good", 1),
        ("gb", "good", 1),
        ("bgb", "good", 2),
        ("bb", "bad", 1),
        ("bbg", "good", 2),
        ("gbbb", "bad", 3),
        ("bib", "bad", 2),  # a window that nobody can judge neither convicts nor acquits
        ("bbi", "bad", 1),
    ],
)
def test_two_bad_windows_running_are_bad(outcomes: str, outcome: Outcome, as_of: int | None) -> None:
    found = judge_health(verdicts(outcomes), TWO)
    assert found.outcome == outcome
    assert found.as_of == (None if as_of is None else DAYS[1] + as_of * timedelta(days=7))


def test_one_bad_window_says_what_a_second_would_do_and_nothing_says_why() -> None:
    assert "1 more running would ask for a new model" in judge_health(verdicts("gb"), TWO).reason
    assert "reason 0" in judge_health(verdicts("i"), TWO).reason
    assert "no window has all its labels" in judge_health([], TWO).reason


BAD = HealthVerdict("bad", "2 bad windows running", date(2013, 4, 29))


def test_bad_health_asks_for_a_model_and_not_too_often() -> None:
    assert retraining_due(BAD, TWO, now=NOW, last=None).due
    assert retraining_due(BAD, TWO, now=NOW, last=NOW - TWO.every).due
    early = retraining_due(BAD, TWO, now=NOW, last=NOW - TWO.every + timedelta(seconds=1))
    assert not early.due
    assert "the next may follow 14 days after" in early.reason


@pytest.mark.parametrize("outcome", ["good", "inconclusive"])
def test_nothing_else_asks_for_one(outcome: Outcome) -> None:
    found = retraining_due(HealthVerdict(outcome, "said", None), TWO, now=NOW, last=None)
    assert not found.due
    assert outcome in found.reason
