"""python -m serving_gateway.trial: look at the trial under way; hold, release, approve or abort it by hand."""

import argparse
import os
import sys
from datetime import UTC, datetime
from typing import get_args

import msgspec
from redis.exceptions import RedisError

from serving_gateway import rollback
from serving_gateway.by_hand import actor, refuse
from serving_gateway.contracts.rollout import RolloutState
from serving_gateway.control.changes import Reason, Ruling, Word, rule
from serving_gateway.control.store import NoRolloutError, RolloutStore, StaleGenerationError, UnreadableDocumentError
from serving_gateway.control.transitions import NotPossibleError, on_trial
from serving_gateway.settings import SettingsError, redis_url, without_password

_ABOUT = {
    "status": "which step the trial is at, since when, and who held or approved it",
    "hold": "keep it at its step until it is released; a failed verdict still ends it",
    "release": "let it go on",
    "approve": "let it leave this step, once the rest that the policy asks for is there",
    "abort": "take its traffic away, as serving_gateway.rollback --confirm does",
}


def main(arguments: list[str] | None = None) -> int:
    """Exit 0: said or done. 1: refused, or Redis is away; of abort, what rollback exits with."""
    options = _parser().parse_args(arguments)
    if options.action == "abort":
        return rollback.main(["--confirm", "--reason", options.reason])
    try:
        url = redis_url(os.environ)
        store = RolloutStore.connect(url)
        print(_ruled(store, options.action, options.reason) if options.action in get_args(Ruling) else _status(store))
    except RedisError as error:
        return refuse("trial", f"Redis at {without_password(url)} cannot be reached (REDIS_URL, REDIS_PORT): {error}")
    except (NotPossibleError, NoRolloutError, StaleGenerationError, SettingsError, UnreadableDocumentError) as error:
        return refuse("trial", str(error))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m serving_gateway.trial",
        description="The trial that a policy's steps lead. Redis is found by REDIS_URL or REDIS_PORT.",
    )
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    for action, about in _ABOUT.items():
        one = actions.add_parser(action, help=about, description=about)
        if action != "status":
            one.add_argument("--reason", type=_reason, required=True, help="kept in the audit trail")
    return parser


def _reason(text: str) -> str:
    try:
        return msgspec.convert(text, Reason)
    except msgspec.ValidationError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _ruled(store: RolloutStore, ruling: Ruling, reason: str) -> str:
    """What is said is said of the state that is read here: a step that begins meanwhile is not approved unseen."""
    stands = _standing(store)
    said = Word(reason=reason, epoch=stands.epoch, generation=stands.generation)
    state, changed = rule(store, ruling, said, actor=actor(), now=datetime.now(UTC))
    return f"{described(state)}{'' if changed else '  nothing changed: that stands already'}"


def _status(store: RolloutStore) -> str:
    return described(_standing(store))


def _standing(store: RolloutStore) -> RolloutState:
    state = store.read_restored()
    if state is None:
        raise NoRolloutError("nothing is served yet: publish a model first")
    return state


def described(state: RolloutState) -> str:
    """The trial in lines."""
    baseline, canary, trial = state.arms.baseline.triton_model, state.arms.canary, state.trial
    head = f"epoch {state.epoch}, generation {state.generation}, {state.phase}, by {state.actor}: {state.reason}\n"
    if canary is None or not on_trial(state):
        return f"{head}  no model is on trial, {baseline} answers everything\n"
    shares = f"{state.canary_weight_bp / 100:g} % of the keys, shadow {state.shadow_fraction:.0%}"
    lines = [f"  on trial      {canary.triton_model} beside {baseline}", f"  share         {shares}"]
    if trial is None or trial.step is None:
        lines.append("  step          led by hand: it goes nowhere by itself")
    else:
        lines += [
            f"  step          {trial.step}, since {trial.entered[:19]} (event time)",
            f"  held          {trial.held or 'no'}",
            f"  approved      {trial.approved or 'no'}",
            f"  evidence      {trial.evidence or 'none yet'}",
        ]
    return "\n".join([head.rstrip(), *lines, ""])


if __name__ == "__main__":
    sys.exit(main())
