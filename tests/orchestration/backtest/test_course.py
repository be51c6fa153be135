"""The platform's course on a small world: a stale model is replaced step by step, a bad challenger never answers alone."""

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import cast

import numpy as np
import pytest

from orchestration.backtest.course import Course, Rules
from orchestration.backtest.models import Models
from orchestration.backtest.plan import Plan
from orchestration.backtest.world import Floats, World
from orchestration.backtest.year import retrains
from orchestration.health.policy import shipped_health_policy
from orchestration.health.thresholds import HealthThresholds
from orchestration.rollout.pairing import log_odds
from orchestration.rollout.policy import shipped_policy
from tests.orchestration.backtest.synthetic_world import world_of

START, END = date(2013, 6, 3), date(2013, 6, 24)
CHANCES = np.random.default_rng(1).beta(1.0, 3.0, 21 * 720).clip(0.01, 0.99)
WORLD = world_of(datetime(2013, 6, 3, tzinfo=UTC), CHANCES)
HEALTH = shipped_health_policy()


class KnownModels:
    """Models that are off the true log-odds by a known amount: the first by `stale`, all later ones by `fresh`."""

    def __init__(self, stale: float, fresh: float) -> None:
        self.world: World = WORLD
        self.off: Callable[[date], float] = lambda learned: stale if learned == START else fresh

    def scores(self, learned: date, rows: slice) -> Floats:
        odds = log_odds(CHANCES[rows]) + self.off(learned)
        return cast("Floats", 1 / (1 + np.exp(-odds)))


def course_of(stale: float, fresh: float, limit: float = 0.0) -> tuple[Course, Models]:
    models = cast("Models", KnownModels(stale, fresh))
    thresholds = HealthThresholds(surprise=limit, bias=limit, windows=8, enough=True)
    course = Course.of(models, Rules(shipped_policy(), HEALTH, thresholds), START)
    for _ in course.run(START, END):
        pass
    return course, models


@pytest.fixture(scope="module")
def replaced() -> tuple[Course, Models]:
    return course_of(stale=0.6, fresh=0.0)


def test_two_bad_weeks_ask_for_a_model_and_it_walks_the_steps(replaced: tuple[Course, Models]) -> None:
    course, _ = replaced
    said = [(event.what, event.at.date()) for event in course.events]
    third_monday = START + timedelta(days=14)
    assert said[:3] == [("warned", START + timedelta(days=7)), ("warned", third_monday), ("retrained", third_monday)]
    assert [what for what, _ in said[3:8]] == ["on trial", "step", "step", "promoted", "settled"]
    assert course.serving == third_monday
    assert course.state.phase == "stable"


def test_every_request_is_answered_once_by_whoever_was_to(replaced: tuple[Course, Models]) -> None:
    course, models = replaced
    rows = WORLD.of_days(START, END)
    assert not np.isnan(course.answers[rows]).any()
    promoted = next(event for event in course.events if event.what == "promoted")
    began = next(event for event in course.events if event.what == "step")
    before, after = slice(rows.start, WORLD.asked_before(began.at)), slice(WORLD.asked_before(promoted.at), rows.stop)
    assert (course.answers[before] == models.scores(START, before)).all()
    fresh = course.answers[after] == models.scores(promoted.model, after)
    assert fresh.mean() > 0.99  # but for the few that failed and fell back
    between = slice(before.stop, after.start)
    assert 0.02 < (course.answers[between] == models.scores(promoted.model, between)).mean() < 0.3


def test_the_gain_of_a_retrain_is_counted_from_its_promotion(replaced: tuple[Course, Models]) -> None:
    course, models = replaced
    plan = Plan(first=START, start=START, end=END)
    (found,) = retrains(models, course.events, plan)
    assert found.promoted is not None
    assert found.promoted > found.asked
    assert found.gain is not None
    assert 0.01 < found.gain < 0.1


def test_a_bad_challenger_is_rolled_back_and_the_old_model_goes_on() -> None:
    course, models = course_of(stale=0.6, fresh=-1.5)
    said = [event.what for event in course.events]
    assert "rolled back" in said
    assert "promoted" not in said
    assert course.serving == START
    ended = next(event for event in course.events if event.what == "rolled back")
    rest = slice(WORLD.asked_before(ended.at), WORLD.of_days(START, END).stop)
    assert (course.answers[rest] == models.scores(START, rest)).all()
    found = list(retrains(models, course.events, Plan(first=START, start=START, end=END)))
    assert {one.gain for one in found} == {None}


def test_a_model_that_knows_the_world_is_left_alone() -> None:
    course, _ = course_of(stale=0.0, fresh=0.0, limit=1.0)
    assert course.events == []
