"""python -m serving_gateway.canary_split FRACTION: give the canary under way this share of the routing keys.

`make serve` applies CANARY_SPLIT by it, once, before the gateway starts. The gateway itself never reads that variable:
a restart under a supervisor must not undo a rollback.
"""

import argparse
import os
import re
import sys
from datetime import UTC, datetime

from redis.exceptions import RedisError

from serving_gateway.by_hand import actor, refuse
from serving_gateway.contracts.rollout import RolloutState, basis_points
from serving_gateway.control.store import NoRolloutError, RolloutStore, UnreadableDocumentError
from serving_gateway.control.transitions import set_weight
from serving_gateway.settings import SettingsError, redis_url, without_password


class RefusedError(Exception):
    """The rollout has no canary that may get a share; the message says what to do."""


def main(arguments: list[str] | None = None) -> int:
    """Exit 0: the share stands. 1: refused, or Redis is away. 2: no fraction."""
    parser = argparse.ArgumentParser(
        prog="python -m serving_gateway.canary_split",
        description="Give the canary under way this share of the routing keys. Redis is found by REDIS_URL or REDIS_PORT.",
    )
    parser.add_argument("fraction", help="0 to 1 in steps of 0.0001, as CANARY_SPLIT; empty: nothing is changed")
    parser.add_argument("--reason", default="CANARY_SPLIT", help="kept in the audit trail [CANARY_SPLIT]")
    options = parser.parse_args(arguments)
    if not options.fraction:
        return 0
    try:
        weight_bp = basis_points(_number(options.fraction))
    except ValueError as error:
        return refuse("canary_split", f"CANARY_SPLIT {error}", code=2)
    return _apply(weight_bp, f"{options.reason}: {options.fraction} of the keys")


def _apply(weight_bp: int, reason: str) -> int:
    try:
        url = redis_url(os.environ)
        print(apply(RolloutStore.connect(url), weight_bp, reason=reason, actor=actor(), now=datetime.now(UTC)))
    except RedisError as error:
        message = f"Redis at {without_password(url)} cannot be reached (REDIS_URL, REDIS_PORT): {error}"
        return refuse("canary_split", message)
    except NoRolloutError as error:
        return refuse("canary_split", f"{error}; or unset CANARY_SPLIT")
    except (RefusedError, SettingsError, UnreadableDocumentError) as error:
        return refuse("canary_split", str(error))
    return 0


def apply(store: RolloutStore, weight_bp: int, *, reason: str, actor: str, now: datetime) -> str:
    """Make `weight_bp` the canary's share by compare-and-set; returns what was done, in words.

    The trial goes on with another share, and people lead it from then on. The same share again changes nothing. Raises RefusedError, NoRolloutError, UnreadableDocumentError or RedisError.
    """
    changed = False

    def transition(state: RolloutState) -> RolloutState | None:
        nonlocal changed
        _require_canary(state)
        changed = state.canary_weight_bp != weight_bp
        return set_weight(state, weight_bp, actor=actor, reason=reason, now=now) if changed else None

    state = store.change(transition)
    assert state.arms.canary is not None
    what = f"{state.arms.canary.triton_model} answers {weight_bp / 100:g} % of the keys"
    return f"{what}, generation {state.generation}." if changed else f"{what} already: nothing changed."


def _require_canary(state: RolloutState) -> None:
    new_trial = "start a new trial by materializing canary_arm, or unset CANARY_SPLIT"
    canary = state.arms.canary
    if canary is None:
        raise RefusedError(f"no canary is named, {state.arms.baseline.triton_model} answers everything: {new_trial}")
    if state.phase == "rolled_back":
        raise RefusedError(f"{canary.triton_model} was rolled back by {state.actor} ({state.reason}): {new_trial}")


def _number(text: str) -> float:
    if not re.fullmatch(r"[0-9]*\.?[0-9]+", text):
        raise ValueError(f"must be a fraction from 0 to 1, got {text!r}")
    return float(text)


if __name__ == "__main__":
    sys.exit(main())
