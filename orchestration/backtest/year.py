"""The whole backtest: the platform's year, the no-drift years, the textbook's alarms, the faults."""

from collections.abc import Callable, Iterator, Sequence
from datetime import date, timedelta
from pathlib import Path

import numpy as np

from orchestration.backtest.course import Course, Event, Rules
from orchestration.backtest.detectors import daily_alarms
from orchestration.backtest.gain import log_losses, share_of_gain
from orchestration.backtest.models import Models
from orchestration.backtest.no_drift import alarms_without_drift
from orchestration.backtest.plan import SEED, WEEK, Plan, Progress
from orchestration.backtest.results import Results, Retrain, Week
from orchestration.backtest.served import Served, between, served, stored_views
from orchestration.backtest.textbook import alarms
from orchestration.backtest.twins import CHECKS_AT, Caught, DataTwins, canary_twins
from orchestration.backtest.usual import Usual, median_ages, usual_days
from orchestration.backtest.world import Floats, World
from orchestration.ingestion.partitions import days, midnight

DAY = timedelta(days=1)
# Days of served requests that are read at once.
STRETCH = 28 * DAY
# Weeks between two retrains that the calendar asks for, to hold ours against.
CALENDARS = (2, 3, 4)


def backtest(models: Models, plan: Plan, rules: Rules, features: Path, progress: Progress) -> Results:
    """Run it all; `features` is the lake's folder of views."""
    world = models.world
    course = _course(models, plan, rules, progress)
    rows = world.of_days(plan.start, plan.end)
    labels = world.labels[rows]
    fresh = np.concatenate([models.scores(monday, world.of_days(monday, monday + WEEK)) for monday in plan.mondays])
    scores = (models.scores(plan.start, rows), course.answers[rows], fresh)
    frozen, ours, weekly = (log_losses(labels, of) for of in scores)
    rollout = _usual_rollout(course.events)
    usual = _usual(world, plan, features)
    twins = DataTwins(models, rules, usual, features, _champions(course.events, plan.start))
    return Results(
        plan=plan,
        rules=rules,
        events=course.events,
        weeks=list(_weeks(world, plan, (frozen, ours, weekly), progress)),
        log_loss=(float(frozen.mean()), float(ours.mean()), float(weekly.mean())),
        share=share_of_gain(frozen, ours, weekly),
        calendar={
            every: share_of_gain(frozen, log_losses(labels, _by_calendar(models, plan, every, rollout)), weekly)
            for every in CALENDARS
        },
        retrains=list(retrains(models, course.events, plan)),
        redrawn=_redrawn(models, rules, plan),
        data_alarms=_data_alarms(world, plan, usual, features, progress),
        watched_days=(plan.end - plan.start).days - 1,
        faults=_faults(twins, plan, progress),
    )


def retrains(models: Models, events: Sequence[Event], plan: Plan) -> Iterator[Retrain]:
    """Every challenger and what came of it."""
    promoted = {event.model: event.at for event in events if event.what == "promoted"}
    order = sorted(promoted, key=lambda model: promoted[model])
    for event in events:
        if event.what != "retrained":
            continue
        if event.model not in promoted:
            yield Retrain(event.at, event.model, None, None)
            continue
        at = order.index(event.model)
        until = promoted[order[at + 1]] if at + 1 < len(order) else midnight(plan.end)
        before = order[at - 1] if at else plan.start
        rows = slice(models.world.asked_before(promoted[event.model]), models.world.asked_before(until))
        labels = models.world.labels[rows]
        old, new = (log_losses(labels, models.scores(model, rows)).mean() for model in (before, event.model))
        yield Retrain(event.at, event.model, promoted[event.model], float(old - new))


def _course(models: Models, plan: Plan, rules: Rules, progress: Progress) -> Course:
    course = Course.of(models, rules, plan.start)
    done = progress("the platform's year", (plan.end - plan.start).days * 24)
    for _ in course.run(plan.start, plan.end):
        done()
    return course


def _by_calendar(models: Models, plan: Plan, every: int, rollout: timedelta) -> Floats:
    """Scores of retraining every so many weeks, each model answering once its rollout is over, as ours do."""
    world, rows = models.world, models.world.of_days(plan.start, plan.end)
    scores = models.scores(plan.start, rows).copy()
    for monday in plan.mondays[every::every]:
        rest = slice(world.asked_before(midnight(monday) + rollout), rows.stop)
        scores[rest.start - rows.start :] = models.scores(monday, rest)
    return scores


def _usual_rollout(events: Sequence[Event]) -> timedelta:
    """Median time from the midnight to which a model learned until it answered everything; none where none ever did."""
    took = sorted(event.at - midnight(event.model) for event in events if event.what == "promoted")
    return took[len(took) // 2] if took else timedelta(0)


def _weeks(world: World, plan: Plan, losses: tuple[Floats, Floats, Floats], progress: Progress) -> Iterator[Week]:
    reference = world.vectors[world.of_days(plan.first, plan.start)]
    known = [column[~np.isnan(column)] for column in reference.T]
    done, offset = progress("the textbook's rules", len(plan.mondays)), world.of_days(plan.start, plan.end).start
    for monday in plan.mondays:
        rows = world.of_days(monday, monday + WEEK)
        seen = [column[~np.isnan(column)] for column in world.vectors[rows].T]
        said = alarms(known, seen)
        here = slice(rows.start - offset, rows.stop - offset)
        frozen, ours, weekly = (float(loss[here].mean()) for loss in losses)
        yield Week(monday, frozen, ours, weekly, frozenset(rule for rule, alarmed in said.items() if alarmed))
        done()


def _redrawn(models: Models, rules: Rules, plan: Plan) -> list[int]:
    scores = models.scores(plan.start, slice(0, len(models.world.labels)))
    return alarms_without_drift(models.world, scores, rules, plan.start, plan.end, years=plan.redrawn, seed=SEED)


def _usual(world: World, plan: Plan, features: Path) -> Usual:
    """What is usual, from the days before the replay; the ages of views from the last four weeks of them."""
    history = world.of_days(plan.first, plan.start)
    recent = plan.start - STRETCH
    log = _serve(world, features, recent, plan.start)
    asked = world.rows["event_timestamp"][world.of_days(recent, plan.start)]
    ends = (midnight(day) + timedelta(hours=CHECKS_AT) for day in days(recent + DAY, plan.start))
    ages = [median_ages(between(log, asked, end - DAY, end)) for end in ends]
    return usual_days(
        world.rows["event_timestamp"][history], world.vectors[history], ages, world.inputs, end=plan.start
    )


def _data_alarms(world: World, plan: Plan, usual: Usual, features: Path, progress: Progress) -> dict[str, int]:
    """On how many days each daily check spoke, all of it without a fault."""
    counts: dict[str, int] = {}
    done = progress("the daily checks", (plan.end - plan.start).days - 1)
    first = plan.start
    while first < plan.end:
        last = min(first + STRETCH, plan.end)
        # a day more: the checks of a morning look at the evening before
        log, rows = _serve(world, features, first - DAY, last), world.of_days(first - DAY, last)
        asked = world.rows["event_timestamp"][rows]
        for day in days(max(first, plan.start + DAY), last):
            now = midnight(day) + timedelta(hours=CHECKS_AT)
            said = daily_alarms(between(log, asked, now - DAY, now), usual, now)
            for check in {alarm.by for alarm in said}:
                counts[check] = counts.get(check, 0) + 1
            done()
        first = last
    return counts


def _serve(world: World, features: Path, start: date, end: date) -> Served:
    return served(world.rows[world.of_days(start, end)], stored_views(features, start, end), world.inputs)


def _faults(twins: DataTwins, plan: Plan, progress: Progress) -> dict[str, list[Caught]]:
    found: dict[str, list[Caught]] = {}
    done = progress("twin runs of faults", plan.dates)
    for since in plan.fault_moments():
        of_canary = canary_twins(twins.models, twins.rules, since.date())
        for name, caught in {**twins.run(since), **of_canary}.items():
            found.setdefault(name, []).append(caught)
        done()
    return found


def _champions(events: Sequence[Event], first: date) -> Callable[[date], date]:
    """The model that answered everything on a day."""
    promoted = [(event.at.date(), event.model) for event in events if event.what == "promoted"]
    return lambda day: max([first, *(model for since, model in promoted if since < day)])
