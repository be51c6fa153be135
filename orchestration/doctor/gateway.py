"""Is the gateway ready, and does it serve what the rollout store says?"""

from collections.abc import Sequence
from typing import Any

import httpx

from orchestration.doctor.finding import Finding, State
from orchestration.rollout.gauges import SILENT_AFTER_S
from orchestration.settings import Settings
from serving_gateway.contracts.rollout import RolloutState
from serving_gateway.control.store import Acknowledgement, RolloutStore
from serving_gateway.control.transitions import on_trial


def check_gateway(settings: Settings) -> list[Finding]:
    """Raises httpx.HTTPError where it is away, redis.RedisError where the store is."""
    with httpx.Client(base_url=settings.gateway_url, timeout=5, trust_env=False) as gateway:
        ready, health = gateway.get("/ready"), gateway.get("/health").json()
    not_ready = "" if ready.status_code == httpx.codes.OK else str(ready.json()["error"]["message"])
    store = RolloutStore.connect(settings.redis_url)
    return judge_gateway(not_ready, health, store.read(), store.heard())


def judge_gateway(
    not_ready: str,
    health: dict[str, Any],
    state: RolloutState | None,
    heard: Sequence[tuple[Acknowledgement, float]],
) -> list[Finding]:
    """What is wrong, one finding each; else what is served.

    Args:
        not_ready: what GET /ready says is missing; empty while it is ready.
        health: the document of GET /health.
        state: the rollout store's.
        heard: acknowledgements of the gateways with their age in seconds.
    """
    if not_ready:
        return [_finding("down", f"not ready: {not_ready}")]
    if state is None:
        return [_finding("attention", "it serves its last known good state: the rollout store has none")]
    problems = [says for says in (_lag(health, state), *_own_words(health), *_silent(heard)) if says]
    if problems:
        return [_finding("attention", says) for says in problems]
    alive = sum(age_s <= SILENT_AFTER_S for _, age_s in heard)
    return [_finding("ok", f"{described(state)}; served by {alive} gateway{'' if alive == 1 else 's'}")]


def described(state: RolloutState) -> str:
    """The rollout in one line."""
    canary, shadow = state.arms.canary, state.arms.shadow
    parts = [f"phase {state.phase}, epoch {state.epoch}, generation {state.generation}"]
    parts.append(f"{state.arms.baseline.triton_model} is the baseline")
    if canary and state.canary_weight_bp:
        parts.append(f"{canary.triton_model} answers {state.canary_weight_bp / 100:g} %")
    if shadow:
        parts.append(f"{shadow.triton_model} shadows {state.shadow_fraction:.0%} of the rest")
    if on_trial(state) and state.trial and state.trial.held:
        parts.append(f"its trial is held at step {state.trial.step} by {state.trial.held}")
    if canary and state.phase == "rolled_back":
        parts.append(f"{canary.triton_model} was rolled back by {state.actor}: {state.reason}")
    return "; ".join(parts)


def _lag(health: dict[str, Any], state: RolloutState) -> str:
    served = (health["epoch"], health["generation"])
    if served == state.position:
        return ""
    return f"it serves epoch {served[0]}, generation {served[1]}; the store has {state.epoch}, {state.generation}"


def _own_words(health: dict[str, Any]) -> list[str]:
    trip = health["trip"]
    return [
        *(f"arm {name} is not used: {why}" for name, why in health["refused"].items()),
        f"it stopped its canary {trip['triton_model']} by itself: {trip['reason']}" if trip else "",
        str(health["problem"] or ""),
        "it does not reach Redis: requests by entities get 503" if health["redis"] == "down" else "",
    ]


def _silent(heard: Sequence[tuple[Acknowledgement, float]]) -> list[str]:
    return [
        f"{a.gateway} was not heard of for {age_s:.0f} s: it died, or is cut off and serves what it last knew"
        for a, age_s in heard
        if age_s > SILENT_AFTER_S
    ]


def _finding(state: State, says: str) -> Finding:
    return Finding("gateway", state, says, "3.1 Gateway")
