"""An arm that the caller names: only one that could answer."""

import msgspec
import pytest

from serving_gateway.contracts.rollout import RolloutState
from serving_gateway.control.transitions import rolled_back, set_weight
from serving_gateway.http import ApiError
from serving_gateway.routing import forced_arm
from tests.serving_gateway.scoring.scripted import ScriptedArm, served_by
from tests.serving_gateway.support import NOW

SERVED = served_by(ScriptedArm("baseline", 0.1), canary=ScriptedArm("canary", 0.9))


def refusal(header: str, **changes: object) -> ApiError:
    with pytest.raises(ApiError) as caught:
        forced_arm(msgspec.structs.replace(SERVED, **changes), header)
    assert caught.value.path == "x-model-arm"
    return caught.value


def by_hand(state: RolloutState, weight_bp: int) -> RolloutState:
    return set_weight(state, weight_bp, actor="cli:me", reason="wait", now=NOW)


def test_without_the_header_the_split_decides() -> None:
    assert forced_arm(SERVED, None) is None


def test_an_arm_is_named() -> None:
    assert forced_arm(SERVED, "baseline") == "baseline"
    assert forced_arm(SERVED, "canary") == "canary"


def test_a_canary_may_be_looked_at_before_it_has_a_share() -> None:
    waiting = msgspec.structs.replace(SERVED, state=by_hand(SERVED.state, 0))
    assert forced_arm(waiting, "canary") == "canary"


@pytest.mark.parametrize("header", ["", "shadow", "Canary", "canary, canary", "x" * 9000])
def test_another_name_is_a_mistake(header: str) -> None:
    error = refusal(header)
    assert error.status == 400
    assert error.message.startswith(f"must be baseline or canary, got {header[:40]!r}")


def test_a_canary_that_gets_no_traffic_is_not_forced_into_it() -> None:
    over = rolled_back(SERVED.state, actor="cli:me", reason="bad", now=NOW)
    alone = served_by(ScriptedArm("baseline", 0.1))
    for changes, why in (
        ({"state": over}, "delay_v2 was rolled back by cli:me: bad"),
        ({"stopped": True}, "delay_v2 is stopped: its requests failed here"),
        ({"canary": None, "refused": {"canary": "delay_v2: another layout"}}, "delay_v2: another layout"),
        ({"state": alone.state, "canary": None}, "no canary is named"),
    ):
        error = refusal("canary", **changes)
        assert (error.status, error.message) == (409, why)
    assert forced_arm(alone, "baseline") == "baseline"
