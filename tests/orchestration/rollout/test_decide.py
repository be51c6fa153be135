"""Every decision with its reason; and the laws that hold of any state, verdict, policy and time."""

from datetime import datetime, timedelta
from typing import get_args

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestration.rollout.carry_out import following
from orchestration.rollout.decide import Decision, GiveUp, GoOn, RollBack, Settle, Wait, decide
from orchestration.rollout.policy import CriterionName, Policy, RolloutPolicy, Step, shipped_policy
from orchestration.rollout.verdict import Outcome, Verdict
from serving_gateway.contracts.rollout import RolloutState
from serving_gateway.control.steps import approve, hold
from serving_gateway.control.transitions import rolled_back, set_weight, start_canary
from tests.orchestration.rollout.trials import BEGAN, BY, HOUR, PASSED, SHADOW, STABLE, arm, at_step, verdict

POLICY = RolloutPolicy(
    automatic=True,
    longest_hours=200,
    steps=[
        Step(weight=0, shadow_fraction=1, hold_hours=24, rows=500, labels=300, needs=["loss"], approval=False),
        Step(weight=0.05, shadow_fraction=1, hold_hours=12, rows=600, labels=400, needs=["loss"], approval=True),
        Step(
            weight=1, shadow_fraction=0, hold_hours=24, rows=700, labels=500, needs=["loss", "errors"], approval=False
        ),
    ],
)
LATER = BEGAN + 100 * HOUR
HELD = hold(SHADOW, actor="cli:ada", reason="lunch", now=BY["now"])  # type: ignore[arg-type]
CANARY, PROMOTED = at_step(1, 500), at_step(2, 10_000)
APPROVED = approve(CANARY, **BY)
BY_HAND = start_canary(STABLE, arm(2), weight_bp=500, shadow_fraction=1.0, **BY)
FAILED = verdict({"latency": "fail", "loss": "pass"})
assert HELD is not None
assert APPROVED is not None

WAITS = [
    (STABLE, PASSED, LATER, "no model is on trial"),
    (rolled_back(SHADOW, **BY), FAILED, LATER, "no model is on trial"),
    (BY_HAND, PASSED, LATER, "led by hand"),
    (set_weight(CANARY, 700, **BY), PASSED, LATER, "led by hand"),
    (HELD, PASSED, LATER, "held by cli:ada: lunch"),
    (HELD, PASSED, BEGAN + 900 * HOUR, "held by cli:ada: lunch"),
    (SHADOW, PASSED, BEGAN + 6.5 * HOUR, "17.5 h of the step's 24 h are left"),
    (SHADOW, PASSED, BEGAN + 23.9 * HOUR, "6 min of the step's 24 h are left"),
    (SHADOW, PASSED, BEGAN - 5 * HOUR, "29.0 h of the step's 24 h are left"),
    (SHADOW, verdict({"loss": "pass"}, rows=499), LATER, "499 of 500 rows that both scored"),
    (SHADOW, verdict({"loss": "pass"}, labels=299), LATER, "299 of 300 labels"),
    (SHADOW, verdict(), LATER, "loss has not passed: what loss found"),
    (SHADOW, verdict(rows=1, labels=2), BEGAN, "24.0 h of the step's 24 h are left; 1 of 500 rows that both scored; "),
    (SHADOW, verdict({"errors": "error"}), LATER, "somebody has to look: it is error"),
    (SHADOW, Verdict("inconclusive", "no prediction of this trial has landed yet"), LATER, "has landed yet"),
    (CANARY, PASSED, LATER, "somebody has to approve"),
    (PROMOTED, PASSED, LATER, "errors has not passed: what errors found"),
]


@pytest.mark.parametrize(("state", "found", "now", "why"), WAITS, ids=[why for *_, why in WAITS])
def test_it_waits_and_says_for_what(state: RolloutState, found: Verdict, now: datetime, why: str) -> None:
    decision = decide(state, found, POLICY, now)
    assert isinstance(decision, Wait)
    assert why in decision.reason


BOTH = verdict({"loss": "pass", "errors": "pass"})
ACTS = [
    (SHADOW, PASSED, BEGAN + 24 * HOUR, GoOn, "on to step 1 of 2, 5 % of the keys"),
    (APPROVED, PASSED, LATER, GoOn, "on to step 2 of 2, 100 % of the keys"),
    (PROMOTED, BOTH, LATER, Settle, "everything that the last step asks for is there"),
    (SHADOW, FAILED, BEGAN, RollBack, "it is fail"),
    (HELD, FAILED, BEGAN, RollBack, "it is fail"),
    (BY_HAND, FAILED, BEGAN, RollBack, "it is fail"),
    (PROMOTED, FAILED, LATER, RollBack, "it is fail"),
    (SHADOW, verdict(), BEGAN + 200 * HOUR, GiveUp, "undecided after 200 h of event time, the policy allows 200: loss"),
    (CANARY, PASSED, BEGAN + 201 * HOUR, GiveUp, "somebody has to approve"),
    (PROMOTED, verdict({"errors": "error"}), BEGAN + 201 * HOUR, GiveUp, "somebody has to look"),
]


@pytest.mark.parametrize(("state", "found", "now", "kind", "why"), ACTS, ids=[why for *_, why in ACTS])
def test_it_acts_and_says_why(
    state: RolloutState, found: Verdict, now: datetime, kind: type[Decision], why: str
) -> None:
    decision = decide(state, found, POLICY, now)
    assert type(decision) is kind
    assert why in decision.reason


def test_a_policy_that_became_shorter_ends_at_its_last_step() -> None:
    """The step that the trial came to is no more: it has to meet the last one, at that one's share."""
    shorter = msgspec.structs.replace(POLICY, steps=[POLICY.steps[0], POLICY.steps[2]])
    decision = decide(at_step(2, 500), BOTH, shorter, LATER)
    assert decision == GoOn(decision.reason, 1)
    assert isinstance(decide(at_step(2, 10_000), BOTH, shorter, LATER), Settle)


outcomes: st.SearchStrategy[Outcome] = st.sampled_from(get_args(Outcome))
verdicts = st.builds(
    lambda found, rows, labels: verdict(found, rows=rows, labels=labels),
    st.fixed_dictionaries(dict.fromkeys(get_args(CriterionName), outcomes)),
    st.sampled_from([0, 1, 499, 500, 5_000]),
    st.sampled_from([0, 1, 299, 300, 5_000]),
)
steps = st.builds(
    Step,
    weight=st.sampled_from([0.0, 0.05, 0.5, 1.0]),
    shadow_fraction=st.just(1.0),
    hold_hours=st.sampled_from([0.0, 24.0]),
    rows=st.sampled_from([0, 500]),
    labels=st.sampled_from([0, 300]),
    needs=st.lists(st.sampled_from(get_args(CriterionName)), unique=True, min_size=1),
    approval=st.booleans(),
)
policies = st.builds(
    lambda found, last, longest: RolloutPolicy(
        automatic=True,
        longest_hours=longest,
        steps=[*sorted(found, key=lambda step: step.weight), msgspec.structs.replace(last, weight=1.0)],
    ),
    st.lists(steps, max_size=4),
    steps,
    st.sampled_from([48.0, 1_000.0]),
)
states = st.builds(
    lambda step, held, approved, weight_bp: led(step, held=held, approved=approved, weight_bp=weight_bp),
    st.integers(0, 6),
    st.booleans(),
    st.booleans(),
    st.sampled_from([0, 500, 5_000, 10_000]),
)
times = st.integers(-24, 1_200).map(lambda hours: BEGAN + timedelta(hours=hours))


def led(step: int, *, held: bool, approved: bool, weight_bp: int) -> RolloutState:
    state = at_step(step, weight_bp)
    ruled = approve(state, **BY) if approved else state
    assert ruled is not None
    stopped = hold(ruled, **BY) if held else ruled
    assert stopped is not None
    return stopped


@given(states, verdicts, policies, times)
def test_nothing_goes_on_without_what_its_step_asks_for(
    state: RolloutState, found: Verdict, policy: RolloutPolicy, now: datetime
) -> None:
    decision = decide(state, found, policy, now)
    trial = state.trial
    assert trial is not None
    assert trial.step is not None
    if not isinstance(decision, GoOn | Settle):
        return
    step = policy.steps[min(trial.step, len(policy.steps) - 1)]
    assert found.outcome not in {"fail", "error"}
    assert all(found.criterion(name).outcome == "pass" for name in step.needs)
    assert found.criterion("score_shift").rows >= step.rows
    assert found.criterion("loss").rows >= step.labels
    assert now - datetime.fromisoformat(trial.entered) >= timedelta(hours=step.hold_hours)
    assert trial.approved or not step.approval
    assert not trial.held
    assert isinstance(decision, GoOn) or state.phase == "promoted"


@given(states, policies, times)
def test_absence_of_data_never_promotes(state: RolloutState, policy: RolloutPolicy, now: datetime) -> None:
    for found in (verdict(rows=0, labels=0), Verdict("inconclusive", "nothing has landed")):
        assert isinstance(decide(state, found, policy, now), Wait | GiveUp)


@given(states | st.just(BY_HAND), verdicts, policies, times)
def test_a_failed_verdict_ends_any_trial(
    state: RolloutState, found: Verdict, policy: RolloutPolicy, now: datetime
) -> None:
    decision = decide(state, found, policy, now)
    assert isinstance(decision, RollBack) == (found.outcome == "fail")
    if isinstance(decision, RollBack):
        new = after(state, decision, policy, now)
        assert (new.phase, new.canary_weight_bp, new.arms.baseline) == ("rolled_back", 0, state.arms.baseline)


@given(states, verdicts, policies, times)
def test_the_trial_stays_the_same_and_only_a_step_raises_its_share(
    state: RolloutState, found: Verdict, policy: RolloutPolicy, now: datetime
) -> None:
    decision = decide(state, found, policy, now)
    if isinstance(decision, Wait):
        with pytest.raises(ValueError, match="Wait changes nothing"):
            after(state, decision, policy, now)
        return
    new = after(state, decision, policy, now)
    assert new.generation == state.generation + 1
    assert new.trial is not None
    assert state.trial is not None
    assert (new.trial.epoch, new.trial.generation) == (state.trial.epoch, state.trial.generation)
    if new.canary_weight_bp > state.canary_weight_bp:
        assert isinstance(decision, GoOn)
    if isinstance(decision, Settle):
        assert (new.phase, new.arms.baseline, new.arms.canary) == ("stable", state.arms.canary, None)


def after(state: RolloutState, decision: Decision, policy: RolloutPolicy, now: datetime) -> RolloutState:
    whole = Policy(evidence=shipped_policy().evidence, rollout=policy)
    return following(state, decision, whole, now, evidence="e", actor="a", now=now)
