"""The platform's course through the year, hour by hour in event time: health, retraining, trial, promotion.

What is decided here is decided by the functions of production: orchestration/health judges windows and asks for models,
orchestration/rollout/verdict judges evidence, orchestration/rollout/decide says where a trial goes, serving_gateway/control
makes the states.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Literal

import numpy as np

from orchestration.backtest.arms import ACTOR, arm_of, begun, learned_by
from orchestration.backtest.checkup import ended_window, judged
from orchestration.backtest.models import Models
from orchestration.backtest.plan import SEED
from orchestration.backtest.trial_log import SOUND, CanaryFault, TrialLog
from orchestration.features.views import view_window
from orchestration.health.judged import answering
from orchestration.health.policy import HealthPolicy
from orchestration.health.thresholds import HealthThresholds
from orchestration.health.verdict import WindowVerdict, judge_health, retraining_due
from orchestration.ingestion.partitions import midnight
from orchestration.rollout.carry_out import following
from orchestration.rollout.decide import Decision, GiveUp, RollBack, Settle, Wait, decide
from orchestration.rollout.pairing import Pair
from orchestration.rollout.policy import Policy
from orchestration.rollout.verdict import Verdict, judge
from serving_gateway.contracts.rollout import RolloutState
from serving_gateway.contracts.split import place
from serving_gateway.control.transitions import first_state, on_trial

HOUR = timedelta(hours=1)
# Event time of the daily look at the labels, and how long training, gates and publishing take.
LOOKS_AT = 3
TRAINS_FOR = HOUR
What = Literal["warned", "retrained", "on trial", "step", "promoted", "settled", "rolled back", "gave up"]


@dataclass(frozen=True)
class Event:
    """Something that the platform said or did at the event time `at`; `model` is the day before which it learned all."""

    at: datetime
    what: What
    model: date
    why: str


@dataclass(frozen=True)
class Rules:
    """Everything that decides."""

    rollout: Policy
    health: HealthPolicy
    thresholds: HealthThresholds


@dataclass
class Course:
    """Where the year has come to.

    `answers` holds the score that each row's caller got, `by` the model that was to answer it, as the ordinal of the day to
    which it had learned; both are filled as time goes by.
    """

    models: Models
    rules: Rules
    state: RolloutState
    fault: CanaryFault = SOUND
    events: list[Event] = field(default_factory=list)
    windows: list[WindowVerdict] = field(default_factory=list)
    judged: date | None = None
    trial: TrialLog | None = None
    verdict: Verdict | None = None
    asked_for: datetime | None = None
    challenger: tuple[datetime, date] | None = None

    def __post_init__(self) -> None:
        n = len(self.models.world.labels)
        self.answers, self.by = np.full(n, np.nan), np.zeros(n, np.int64)

    @classmethod
    def of(cls, models: Models, rules: Rules, frozen: date, fault: CanaryFault = SOUND) -> "Course":
        """The platform on the day `frozen`, with the model that learned all before it."""
        state = first_state(arm_of(frozen), actor=ACTOR, reason="first model", now=midnight(frozen))
        return cls(models, rules, state, fault)

    @property
    def serving(self) -> date:
        """The baseline, by the day to which it learned."""
        return learned_by(self.state.arms.baseline)

    def run(self, start: date, end: date) -> Iterator[datetime]:
        """Through the requests for flights of the days [start, end); yields the event time after every hour."""
        now, last = view_window(start, end)
        while now < last:
            now += HOUR
            self._answer(now)
            if now.hour == LOOKS_AT:
                self._look(now)
            if self.challenger and self.challenger[0] <= now and not on_trial(self.state):
                self.begin(self.challenger[1], now)
                self.challenger = None
            elif self.trial:
                self._walk(now)
            yield now

    def begin(self, learned: date, now: datetime) -> None:
        """Put a challenger on trial at the policy's first step."""
        self.state = begun(self.state, learned, self.rules.rollout.rollout, now)
        world = self.models.world
        first = world.asked_before(now)
        pair = Pair(self.state.arms.baseline.triton_model, arm_of(learned).triton_model)
        self.trial = TrialLog(world, first, pair, self.fault, np.random.default_rng((SEED, first)))
        self._note(now, "on trial", learned, "the challenger is published")

    def _answer(self, now: datetime) -> None:
        """Serve what was asked in the hour before `now`, as the state says."""
        world = self.models.world
        rows = slice(world.asked_before(now - HOUR), world.asked_before(now))
        baseline, canary = self.serving, self.state.arms.canary
        self.answers[rows] = scores = self.models.scores(baseline, rows)
        self.by[rows] = baseline.toordinal()
        if self.trial and canary and rows.start < rows.stop:
            arms = np.array([place(self.state.salt, key, self.state.canary_weight_bp) for key in world.keys(rows)])
            sound = self.models.scores(learned_by(canary), rows)
            self.answers[rows] = self.trial.ask(rows, scores, sound, arms)
            self.by[rows][arms == "canary"] = learned_by(canary).toordinal()

    def _look(self, now: datetime) -> None:
        """Judge the window that ended last midnight; ask for a model where it is time."""
        window = ended_window(now.date(), self.rules.health)
        if window is None:
            return
        world, model = self.models.world, learned_by(answering(self.state))
        if model != self.judged:
            self.windows, self.judged = [], model
        rows = world.of_days(*window)
        ours = self.by[rows] == model.toordinal()
        said = judged(
            window, world.labels[rows][ours], self.answers[rows][ours], self.rules.thresholds, self.rules.health
        )
        self.windows.append(said)
        if said.outcome == "bad":
            self._note(now, "warned", model, said.reason)
        verdict = judge_health(self.windows, self.rules.health.retraining)
        due = retraining_due(verdict, self.rules.health.retraining, now=now, last=self.asked_for)
        if due.due and not self.trial and not self.challenger:
            self.asked_for, self.challenger = now, (now + TRAINS_FOR, now.date())
            self._note(now, "retrained", now.date(), due.reason)

    def _walk(self, now: datetime) -> None:
        """Judge the trial under way and go where the policy says."""
        assert self.trial is not None
        assert self.state.arms.canary is not None
        learned = learned_by(self.state.arms.canary)
        self.verdict = judge(self.trial.evidence(now), self.rules.rollout.evidence)
        decision = decide(self.state, self.verdict, self.rules.rollout.rollout, now)
        if isinstance(decision, Wait):
            return
        self.state = following(self.state, decision, self.rules.rollout, now, evidence="", actor=ACTOR, now=now)
        self._note(now, _what(decision, self.state), learned, decision.reason)
        if not on_trial(self.state):
            self.trial = None

    def _note(self, at: datetime, what: What, model: date, why: str) -> None:
        self.events.append(Event(at, what, model, why))


def _what(decision: Decision, state: RolloutState) -> What:
    match decision:
        case Settle():
            return "settled"
        case RollBack():
            return "rolled back"
        case GiveUp():
            return "gave up"
    return "promoted" if state.phase == "promoted" else "step"
