"""False alarms where there is nothing to see: the same requests, with labels drawn from the frozen model's own scores."""

from datetime import date, datetime

import numpy as np

from orchestration.backtest.checkup import judged
from orchestration.backtest.course import Rules
from orchestration.backtest.world import Floats, World
from orchestration.health.verdict import WindowVerdict, judge_health, retraining_due
from orchestration.health.windows import window_days
from orchestration.ingestion.partitions import midnight


def alarms_without_drift(
    world: World, scores: Floats, rules: Rules, start: date, end: date, *, years: int, seed: int
) -> list[int]:
    """How often each of `years` redrawn years asked for a new model in [start, end); in all of them the model is right.

    Args:
        world: the requests; its labels are not looked at.
        scores: the model's probabilities of all of them, shape [n]: the labels are drawn with these chances.
        rules: those of the real year, with the thresholds that were fitted to real windows.
        start: first day.
        end: day after the last.
        years: how many are drawn.
        seed: of the draws.
    """
    random = np.random.default_rng(seed)
    redrawn = (world.relabelled((random.random(len(scores)) < scores).astype(np.float64)) for _ in range(years))
    return [_asked(year, scores, rules, (start, end)) for year in redrawn]


def _asked(world: World, scores: Floats, rules: Rules, replayed: tuple[date, date]) -> int:
    seen: list[WindowVerdict] = []
    asked: list[datetime] = []
    window = window_days(replayed[0], rules.health.windows.days)
    while window[1] <= replayed[1]:
        rows = world.of_days(*window)
        seen.append(judged(window, world.labels[rows], scores[rows], rules.thresholds, rules.health))
        now, policy = midnight(window[1]), rules.health.retraining
        if retraining_due(judge_health(seen, policy), policy, now=now, last=asked[-1] if asked else None).due:
            asked.append(now)
        window = window_days(window[1], rules.health.windows.days)
    return len(asked)
