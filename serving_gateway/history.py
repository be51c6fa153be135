"""python -m serving_gateway.history: every change of the rollout, from the audit stream, oldest first."""

import argparse
import os
import sys

import msgspec
from redis.exceptions import RedisError

from serving_gateway.by_hand import refuse
from serving_gateway.contracts.rollout import RolloutState
from serving_gateway.control.store import RolloutStore, UnreadableDocumentError
from serving_gateway.control.transitions import on_trial
from serving_gateway.settings import SettingsError, redis_url, without_password


def main(arguments: list[str] | None = None) -> int:
    """Exit 0 with the changes, 1 where they cannot be read."""
    parser = argparse.ArgumentParser(
        prog="python -m serving_gateway.history",
        description="The rollout's changes, oldest first: when, which generation, what, by whom and why. Redis is found by REDIS_URL or REDIS_PORT.",
    )
    parser.add_argument("--last", type=_count, default=20, metavar="N", help="at most this many, the newest [20]")
    parser.add_argument("--json", action="store_true", help="one rollout state a line")
    options = parser.parse_args(arguments)
    try:
        url = redis_url(os.environ)
        states = RolloutStore.connect(url).history(options.last)
    except SettingsError as error:
        return refuse("history", str(error))
    except RedisError as error:
        return refuse("history", f"Redis at {without_password(url)} cannot be reached (REDIS_URL, REDIS_PORT): {error}")
    except UnreadableDocumentError as error:
        return refuse("history", str(error))
    if not states:
        print("The rollout has never changed: no model is served yet.")
    for state in reversed(states):
        print(msgspec.json.encode(state).decode() if options.json else _line(state))
    return 0


def _line(state: RolloutState) -> str:
    canary = state.arms.canary
    tried = f", {canary.triton_model} {state.canary_weight_bp / 100:g} %" if canary else ""
    shadow = f", shadow {state.shadow_fraction:.0%}" if state.arms.shadow else ""
    step = f", step {state.trial.step}" if on_trial(state) and state.trial and state.trial.step is not None else ""
    what = f"{state.phase}: {state.arms.baseline.triton_model}{tried}{shadow}{step}"
    return f"{state.time[:19]}Z  {state.epoch}:{state.generation}  {what}  by {state.actor}: {state.reason}"


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number from 1")
    return int(text)


if __name__ == "__main__":
    sys.exit(main())
