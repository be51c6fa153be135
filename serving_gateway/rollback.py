"""python -m serving_gateway.rollback: take the canary's traffic away, and wait until every gateway obeys."""

import argparse
import math
import os
import sys
import time
from datetime import UTC, datetime

from redis.exceptions import RedisError

from serving_gateway.by_hand import actor, refuse
from serving_gateway.contracts.rollout import Arm, RolloutState
from serving_gateway.control.store import Acknowledgement, NoRolloutError, RolloutStore, UnreadableDocumentError
from serving_gateway.control.transitions import on_trial, rolled_back
from serving_gateway.settings import SettingsError, redis_url, without_password

ALIVE_WITHIN_S = 3.0
HEARD_AGAIN_S = 1.5  # a gateway acknowledges every second


def main(arguments: list[str] | None = None) -> int:
    """Parse the command line, act, say what happened. Returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m serving_gateway.rollback",
        description="Without --confirm: says what it would do and changes nothing. Redis is found by REDIS_URL or REDIS_PORT.",
    )
    parser.add_argument("--confirm", action="store_true", help="roll back")
    parser.add_argument("--reason", default="rolled back by hand", help="kept in the audit trail")
    parser.add_argument(
        "--timeout", type=_seconds, default=10.0, metavar="S", help="seconds to wait for the gateways [10]"
    )
    options = parser.parse_args(arguments)
    try:
        url = redis_url(os.environ)
        store = RolloutStore.connect(url)
        if options.confirm:
            return _roll_back(store, options.reason, options.timeout)
        return _explain(store)
    except (SettingsError, UnreadableDocumentError) as error:
        return _fail(str(error))
    except RedisError as error:
        return _fail(f"Redis at {without_password(url)} cannot be reached (REDIS_URL, REDIS_PORT): {error}")


def _explain(store: RolloutStore) -> int:
    state = store.read_restored()
    if state is None or not on_trial(state):
        return _nothing(state)
    print(_described(state))
    alive = [a for a, age_s in store.heard() if age_s <= ALIVE_WITHIN_S]
    print(f"  live gateways {_names(alive)}")
    _name_the_silent(store)
    print(
        f"With --confirm: {state.arms.baseline.triton_model} answers everything, "
        f"weight {state.canary_weight_bp / 100:g} % -> 0, shadow ends, generation {state.generation} -> {state.generation + 1}."
    )
    return 0


def _roll_back(store: RolloutStore, reason: str, timeout_s: float) -> int:
    started = time.monotonic()
    changed: list[RolloutState] = []

    def transition(state: RolloutState) -> RolloutState | None:
        changed.clear()
        if not on_trial(state):
            return None
        changed.append(rolled_back(state, actor=actor(), reason=reason, now=datetime.now(UTC)))
        return changed[0]

    try:
        store.read_restored()
        state = store.change(transition)
    except NoRolloutError:
        return _nothing(None)
    if changed:
        print(f"Rolled back: {state.arms.baseline.triton_model} answers everything, generation {state.generation}.")
    else:
        _nothing(state)
    return _confirmed(store, state, timeout_s, started)


def _confirmed(store: RolloutStore, state: RolloutState, timeout_s: float, started: float) -> int:
    """Waits for the gateways, also where nothing changed: a rollback may stand that a gateway does not obey yet."""
    try:
        gateways = _served_by(store, state, timeout_s, started)
    except TimeoutError as error:
        return _fail(str(error))
    finally:
        _name_the_silent(store)
    if not gateways:
        return _fail("no gateway is alive, so none confirmed it; a gateway that starts now takes it up")
    print(f"Served by {_names(gateways)} after {time.monotonic() - started:.3f} s.")
    return 0


def _served_by(store: RolloutStore, state: RolloutState, timeout_s: float, started: float) -> list[Acknowledgement]:
    """Who serves `state`. A store that was emptied has lost who is alive too: the gateways get the time to say it again."""
    while True:
        gateways = store.wait_until_served(state, timeout_s=timeout_s, alive_within_s=ALIVE_WITHIN_S)
        if gateways or time.monotonic() - started > min(timeout_s, HEARD_AGAIN_S):
            return gateways
        time.sleep(0.05)


def _nothing(state: RolloutState | None) -> int:
    if state is None:
        print("Nothing to roll back: no model is served yet.")
    else:
        print(f"Nothing to roll back: {state.arms.baseline.triton_model} answers everything.")
        print(_described(state))
    return 0


def _described(state: RolloutState) -> str:
    return "\n".join(
        (
            f"epoch {state.epoch}, generation {state.generation}, {state.phase}, by {state.actor}: {state.reason}",
            f"  baseline      {_named(state.arms.baseline)}",
            f"  canary        {_named(state.arms.canary)}, weight {state.canary_weight_bp / 100:g} %",
            f"  shadow        {_named(state.arms.shadow)}, fraction {state.shadow_fraction:g}",
        )
    )


def _named(arm: Arm | None) -> str:
    return "none" if arm is None else f"{arm.triton_model} ({arm.model} version {arm.version})"


def _name_the_silent(store: RolloutStore) -> None:
    """A gateway that stops takes its acknowledgement back: a silent one died, or is cut off and serves what it last knew."""
    for a, age_s in store.heard():
        if age_s > ALIVE_WITHIN_S:
            print(f"  {a.gateway} (generation {a.generation}) was not heard of for {age_s:.0f} s: see that it is down")


def _names(gateways: list[Acknowledgement]) -> str:
    return ", ".join(f"{a.gateway} (generation {a.generation})" for a in gateways) or "none"


def _seconds(text: str) -> float:
    seconds = float(text)
    if not (math.isfinite(seconds) and seconds >= 0):
        raise argparse.ArgumentTypeError(f"{text} is no number of seconds")
    return seconds


def _fail(message: str) -> int:
    return refuse("rollback", message)


if __name__ == "__main__":
    sys.exit(main())
