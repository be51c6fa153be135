"""Which arm a path means, and how arms are told of."""

import msgspec
import pytest

from serving_gateway.http import ApiError
from serving_gateway.rollout.served import Served
from serving_gateway.v2.naming import arm_asked, arms_of, renamed
from tests.serving_gateway.scoring.scripted import ScriptedArm, served_by
from tests.serving_gateway.support import CONTRACT, TWO, arm_of, state_of, version

THREE = version(3)


def served(**arms: object) -> Served:
    return msgspec.structs.replace(served_by(ScriptedArm("baseline", 0.5)), state=state_of(CONTRACT, **arms))  # type: ignore[arg-type]


def test_a_version_is_found_in_any_arm() -> None:
    now = served(canary=TWO, shadow=THREE)
    asked = [arm_asked(now, "delay", v) for v in (None, "1", "2", "3")]
    assert asked == [arm_of(c) for c in (CONTRACT, CONTRACT, TWO, THREE)]


def test_an_unknown_version_is_refused_with_those_that_are_known() -> None:
    with pytest.raises(ApiError) as error:
        arm_asked(served(canary=TWO), "delay", "9")
    assert (error.value.status, error.value.message) == (
        404,
        "delay has no version 9 in this rollout; there are 1, 2",
    )


def test_another_model_or_nothing_served_is_tritons() -> None:
    assert arm_asked(served(), "delay_v1", None) is None
    assert arm_asked(None, "delay", "1") is None


def test_a_version_in_two_arms_stands_once_and_the_baseline_first() -> None:
    assert [a.version for a in arms_of(state_of(TWO, CONTRACT, shadow=TWO))] == ["2", "1"]


def test_the_baselines_version_is_never_another_models() -> None:
    other = version(1, model="other")
    assert arms_of(state_of(CONTRACT, other)) == [arm_of(CONTRACT)]


def test_entries_of_arms_get_the_names_that_callers_know() -> None:
    entries = [{"name": "delay_v2", "version": "1", "n": 5}, {"name": "mixed", "version": "1"}, {}]
    assert renamed(entries, served(canary=TWO)) == [{"name": "delay", "version": "2", "n": 5}, *entries[1:]]
    assert renamed(entries, None) == entries
