"""What a gateway writes to a store that lost its memory: each rule by an example. The laws are in test_rollout_memory."""

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from serving_gateway.contracts.rollout import RolloutState
from serving_gateway.control.forward import Forward, brought_forward
from serving_gateway.control.transitions import first_state, rolled_back, set_baseline, set_weight, start_canary
from tests.serving_gateway.support import CONTRACT, arm_of, version

ONE, TWO, THREE = arm_of(CONTRACT), arm_of(version(2)), arm_of(version(3))
START = datetime(2026, 1, 1, tzinfo=UTC)
NOW = START + timedelta(days=1)


def by(minute: int, reason: str = "r") -> dict[str, Any]:
    return {"actor": "cli:me", "reason": reason, "now": START + timedelta(minutes=minute)}


FIRST = first_state(ONE, **by(0))
CANARY = start_canary(FIRST, TWO, weight_bp=500, shadow_fraction=0.5, **by(1, "try it"))
RAISED = set_weight(CANARY, 5000, **by(2, "go on"))
STOPPED = rolled_back(RAISED, **by(3, "bad"))
NEXT = start_canary(STOPPED, THREE, weight_bp=100, shadow_fraction=0.0, **by(4, "another"))
ALL = [FIRST, CANARY, RAISED, STOPPED, NEXT]


def told(
    served: list[RolloutState], stored: list[RolloutState], stands: RolloutState | None = None, actor: str = "gateway:g"
) -> Forward | None:
    return brought_forward(served, stored, stands or (stored[-1] if stored else None), actor=actor, now=NOW)


def must(forward: Forward | None) -> Forward:
    assert forward is not None
    return forward


def traffic(state: RolloutState) -> tuple[Any, ...]:
    return (state.arms, state.canary_weight_bp, state.shadow_fraction, state.salt, state.phase)


def test_a_store_that_knows_what_was_served_is_followed() -> None:
    assert told(ALL[:2], ALL[:2]) is None
    assert told(ALL[:2], ALL) is None
    assert told([CANARY], ALL) is None


def test_a_state_that_stands_needs_no_audit() -> None:
    assert told(ALL[:2], [], CANARY) is None


def test_an_empty_store_gets_everything_back_under_a_new_epoch() -> None:
    forward = must(told(ALL[:3], []))
    assert forward.forgotten == ALL[:3]
    assert forward.state.position == (2, 1)
    assert traffic(forward.state) == traffic(RAISED)
    assert (forward.state.restores, forward.state.actor, forward.state.time) == ((1, 3), "gateway:g", NOW.isoformat())
    assert forward.state.reason == (
        "restored forward: the store held nothing, 1:3 was served. 1:3 was by cli:me: go on"
    )


def test_a_store_that_went_back_gets_what_it_forgot() -> None:
    forward = must(told(ALL, ALL[:2]))
    assert forward.forgotten == ALL[2:]
    assert (forward.state.position, forward.state.arms.canary) == ((2, 1), THREE)


def test_a_state_set_back_by_hand_counts_as_forgotten() -> None:
    forward = must(told(ALL[:3], ALL[:3], CANARY))
    assert forward.forgotten == []
    assert traffic(forward.state) == traffic(RAISED)


def test_a_forgotten_rollback_is_not_undone() -> None:
    assert traffic(must(told(ALL[:4], ALL[:3])).state) == traffic(STOPPED)


def test_the_faster_gateway_knew_less() -> None:
    faster = must(told(ALL[:2], []))
    forward = must(told(ALL[:4], [*faster.forgotten, faster.state]))
    assert forward.forgotten == [RAISED, STOPPED]
    assert (forward.state.position, forward.state.restores) == ((3, 1), (1, 4))
    assert traffic(forward.state) == traffic(STOPPED)


def test_the_faster_gateway_knew_more() -> None:
    faster = must(told(ALL, []))
    assert told(ALL[:3], [*faster.forgotten, faster.state]) is None


def test_two_pasts_meet_and_the_longer_one_goes_on() -> None:
    """The faster gateway followed another line of the same store."""
    other = set_weight(CANARY, 7000, **by(2, "elsewhere"))
    faster = must(told([FIRST, CANARY, other, set_weight(other, 1, **by(3))], []))
    forward = must(told(ALL[:3], [*faster.forgotten, faster.state]))
    assert forward.forgotten == [RAISED]
    assert (forward.state.canary_weight_bp, forward.state.restores) == (1, (1, 4))


def test_the_origin_is_kept_when_a_restored_state_is_restored() -> None:
    once = must(told(ALL[:2], [])).state
    twice = must(told([*ALL[:2], once], [])).state
    assert (twice.position, twice.restores) == ((3, 1), (1, 2))
    assert twice.reason == "restored forward: the store held nothing, 2:1 was served"
    assert traffic(must(told(ALL[:3], [*ALL[:2], once, twice])).state) == traffic(RAISED)


def test_a_change_on_a_store_that_went_back_gives_way() -> None:
    raised = set_weight(CANARY, 9000, **by(60))
    forward = must(told(ALL, [FIRST, CANARY, raised]))
    assert traffic(forward.state) == traffic(NEXT)
    assert forward.state.position > raised.position


def test_however_many_changes_there_were() -> None:
    longer = [FIRST, CANARY]
    for minute in range(60, 70):
        longer.append(set_weight(longer[-1], minute, **by(minute)))
    assert traffic(must(told(ALL, longer)).state) == traffic(NEXT)


def test_a_rollback_on_a_store_that_went_back_ends_whatever_is_tried() -> None:
    rollback = rolled_back(CANARY, **by(60, "looks wrong"))
    forward = must(told(ALL, [FIRST, CANARY, rollback]))
    assert traffic(forward.state) == traffic(rolled_back(NEXT, **by(60)))
    assert "the rollback 1:3 by cli:me holds (looks wrong)" in forward.state.reason
    again = start_canary(rollback, THREE, weight_bp=1, shadow_fraction=0.0, **by(61))
    assert must(told(ALL, [FIRST, CANARY, rollback, again])).state.phase == "rolled_back"


def test_a_rollback_that_the_faster_gateway_took_up_is_seen_by_all() -> None:
    rollback = rolled_back(CANARY, **by(60))
    faster = must(told(ALL[:3], [FIRST, CANARY, rollback]))
    assert faster.state.phase == "rolled_back"
    further = set_weight(RAISED, 6000, **by(3))
    forward = must(told([*ALL[:3], further], [FIRST, CANARY, rollback, *faster.forgotten, faster.state]))
    assert (forward.state.phase, forward.state.canary_weight_bp) == ("rolled_back", 0)


def test_an_old_rollback_that_is_known_here_ends_nothing() -> None:
    stopped_before = [FIRST, CANARY, rolled_back(CANARY, **by(2))]
    served = [*stopped_before, start_canary(stopped_before[-1], TWO, weight_bp=1, shadow_fraction=0.0, **by(3))]
    assert traffic(must(told(served, stopped_before)).state) == traffic(served[-1])
    # nor where the memory begins after it
    assert traffic(must(told(served[3:], stopped_before)).state) == traffic(served[-1])


def test_a_baseline_published_to_an_empty_store_goes_on() -> None:
    anew = first_state(THREE, **by(60, "trained anew"))
    forward = must(told(ALL, [anew]))
    assert forward.forgotten == ALL
    assert (forward.state.position, forward.state.restores) == ((2, 1), (1, 1))
    assert traffic(forward.state) == traffic(anew)


def test_also_where_the_store_forgot_it_and_came_back_with_it() -> None:
    """One gateway restored what it had served while the baseline chosen anew was away with the store's file."""
    anew = first_state(THREE, **by(60))
    restored = must(told(ALL, [])).state
    faster = must(told(ALL, [anew]))
    assert faster.state.position == restored.position
    forward = must(told([*ALL, restored], [anew, *faster.forgotten, faster.state]))
    assert traffic(forward.state) == traffic(anew)
    assert forward.state.position == (3, 1)


def test_but_not_a_baseline_chosen_before_what_is_served() -> None:
    """A gateway that was away for long restores an old choice of another past."""
    old = first_state(THREE, **by(2))
    faster = must(told([old], []))
    assert traffic(must(told(ALL, [*faster.forgotten, faster.state])).state) == traffic(NEXT)


def test_what_is_tried_on_a_baseline_chosen_anew_goes_on_unless_it_was_rolled_back() -> None:
    anew = first_state(ONE, **by(60))
    for tried, phase in ((THREE, "canary"), (TWO, "rolled_back")):
        trial = start_canary(anew, tried, weight_bp=1, shadow_fraction=0.0, **by(61))
        forward = must(told(ALL, [anew, trial]))
        assert (forward.state.phase, forward.state.arms.canary) == (phase, tried)


def test_a_promotion_on_a_store_that_went_back_goes_on() -> None:
    promoted = set_baseline(CANARY, TWO, **by(60))
    assert traffic(must(told(ALL, [FIRST, CANARY, promoted])).state) == traffic(promoted)


def test_a_late_gateway_does_not_undo_what_people_did_since() -> None:
    faster = must(told(ALL[:2], []))
    since = set_weight(faster.state, 800, **by(60))
    forward = must(told([*ALL[:2], set_weight(CANARY, 1, **by(2))], [*faster.forgotten, faster.state, since]))
    assert (forward.state.canary_weight_bp, forward.state.position) == (800, (3, 1))


def test_but_it_brings_its_rollback() -> None:
    faster = must(told(ALL[:2], []))
    since = set_weight(faster.state, 800, **by(60))
    forward = must(told(ALL[:4], [*faster.forgotten, faster.state, since]))
    assert (forward.state.phase, forward.state.canary_weight_bp) == ("rolled_back", 0)
    assert "the rollback 1:4 by cli:me holds (bad)" in forward.state.reason


def test_a_change_of_a_restored_state_is_a_change_like_any_other() -> None:
    restored = must(told(ALL[:2], [])).state
    assert set_weight(restored, 1, **by(60)).restores is None
    assert msgspec.json.decode(msgspec.json.encode(restored), type=RolloutState) == restored
