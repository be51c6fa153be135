"""Which published models are retired, decided by plain functions."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestration.publishing.retirement import RetirementError, named_by_arms, to_retire
from serving_gateway.contracts.rollout import Arm, Arms, RolloutState
from serving_gateway.control.steps import settle
from serving_gateway.control.store import Acknowledgement
from tests.orchestration.rollout.trials import BY, SHADOW, STABLE, at_step


def names(*versions: int) -> list[str]:
    return [f"m_v{version}" for version in versions]


@pytest.mark.parametrize(
    ("published", "arms", "aliases", "keep", "retired"),
    [
        (names(), (), (), 3, names()),
        (names(1, 2, 3), (), (), 3, names()),
        (names(1, 2, 3, 4), (), (), 3, names(1)),
        (names(1, 2, 3, 4), names(1), (), 3, names()),
        (names(1, 2, 3, 4), (), names(1), 3, names()),
        (names(1, 2, 3, 4, 5), names(2), names(5), 1, names(1, 3)),
        (names(1, 2), names(2), (), 0, names(1)),
        (names(9, 10, 11), (), (), 2, names(9)),  # by number, not by letters
        (["mine", *names(1, 2)], (), (), 1, names(1)),  # what is not ours is left alone
    ],
)
def test_what_is_retired(
    published: list[str], arms: list[str], aliases: list[str], keep: int, retired: list[str]
) -> None:
    assert to_retire(published, arms, aliases, keep) == retired


versions = st.lists(st.integers(1, 30), unique=True).map(lambda found: names(*found))


@given(versions, versions, versions, st.integers(0, 5))
def test_never_one_that_an_arm_or_an_alias_names_nor_one_of_the_newest(
    published: list[str], arms: list[str], aliases: list[str], keep: int
) -> None:
    retired = to_retire(published, arms, aliases, keep)
    assert not set(retired) & {*arms, *aliases}
    assert set(retired) <= set(published)
    unnamed = set(published) - {*arms, *aliases}
    assert len(unnamed) - len(retired) == min(keep, len(unnamed))
    left = sorted(set(published) - set(retired), key=lambda name: int(name[3:]))
    assert to_retire(left, arms, aliases, keep) == []


def arm(version: int) -> Arm:
    return Arm(model="m", version=str(version), triton_model=f"m_v{version}", contract_digest="d")


def state(generation: int, baseline: int, canary: int | None = None, shadow: int | None = None) -> RolloutState:
    others = {"canary": arm(canary) if canary else None, "shadow": arm(shadow) if shadow else None}
    return RolloutState(
        epoch=1, generation=generation, phase="stable", arms=Arms(baseline=arm(baseline), **others), time="2026-01-01"
    )


def heard(generation: int, epoch: int = 1) -> Acknowledgement:
    return Acknowledgement("g", epoch, generation, 0, 0.0)


# Newest first: the canary 4 was rolled back, 3 followed 2, which had followed 1; 5 shadowed once.
HISTORY = [state(6, 3, 4), state(5, 3, 4, 4), state(4, 3), state(3, 2, shadow=5), state(2, 2), state(1, 1)]


@pytest.mark.parametrize(
    ("acknowledged", "named"),
    [
        ([], names(2, 3, 4)),
        ([6], names(2, 3, 4)),
        ([4], names(2, 3, 4)),
        ([3], names(2, 3, 4, 5)),
        ([1], names(1, 2, 3, 4)),
        ([6, 1], names(1, 2, 3, 4)),
    ],
)
def test_named_are_the_standing_arms_the_baseline_before_and_what_a_gateway_still_serves(
    acknowledged: list[int], named: list[str]
) -> None:
    assert sorted(named_by_arms(HISTORY, [heard(generation) for generation in acknowledged])) == named


def test_the_canary_kept_for_the_record_after_a_rollback_is_named() -> None:
    rolled_back = msgspec.structs.replace(state(6, 3, 4), phase="rolled_back")
    assert "m_v4" in named_by_arms([rolled_back], [])


def test_a_gateway_that_fell_silent_may_have_taken_the_next_state() -> None:
    """It said 2, and may serve 3 since, with the shadow that only 3 names."""
    assert "m_v5" in named_by_arms(HISTORY, [heard(2)])


@pytest.mark.parametrize("unknown", [heard(7), heard(1, epoch=2)])
def test_a_gateway_that_serves_a_state_which_the_audit_does_not_know_keeps_everything(unknown: Acknowledgement) -> None:
    """A store that lost its state counts from 1 again, while gateways go on with what they know."""
    with pytest.raises(RetirementError, match=f"g serves epoch {unknown.epoch}, generation {unknown.generation}.*HDEL"):
        named_by_arms(HISTORY, [unknown])


def test_while_a_model_is_promoted_and_once_it_has_settled_the_old_baseline_stays() -> None:
    promoted = at_step(3, 10_000)
    assert named_by_arms([promoted, SHADOW, STABLE], []) == {"m_v1", "m_v2"}
    settled = settle(promoted, evidence="e", **BY)
    assert named_by_arms([settled, promoted, SHADOW, STABLE], []) == {"m_v1", "m_v2"}
