"""Has Triton loaded what is published, and above all what an arm names?"""

from collections.abc import Collection, Mapping

import httpx

from orchestration.doctor.finding import Finding, State
from orchestration.publishing.repository import Repository
from orchestration.settings import Settings
from serving_gateway.contracts.rollout import RolloutState
from serving_gateway.control.store import RolloutStore
from triton_models.model_config import is_part


def check_triton(settings: Settings) -> list[Finding]:
    """Raises httpx.HTTPError where Triton is away, redis.RedisError where the rollout store is."""
    answer = httpx.post(f"http://{settings.triton_http}/v2/repository/index", timeout=5, trust_env=False)
    index = {model["name"]: model for model in answer.raise_for_status().json()}
    loaded = {name: str(model.get("state", "")) for name, model in index.items()}
    state = RolloutStore.connect(settings.redis_url).read()
    return judge_triton(loaded, Repository.of(settings).published(), state)


def judge_triton(loaded: Mapping[str, str], manifest: Collection[str], state: RolloutState | None) -> list[Finding]:
    """`loaded` is Triton's index, model to state; `manifest` names what its next start loads."""
    ready = {name for name, at in loaded.items() if at == "READY" and not is_part(name)}
    arms = state.arms if state else None
    baseline = {arms.baseline.triton_model} if arms else set()
    tried = {arm.triton_model for arm in (arms.canary, arms.shadow) if arm} if arms else set()
    on_trial = tried if state and state.phase != "rolled_back" else set()
    found = [
        *(_finding("down", f"the baseline {name} is not loaded: nobody is answered") for name in baseline - ready),
        *(_finding("attention", f"{name} is on trial but not loaded") for name in sorted(on_trial - ready)),
        *(
            _finding("attention", f"{name} is published but {loaded.get(name) or 'not loaded'}: restart Triton")
            for name in sorted(set(manifest) - ready - baseline - on_trial)
        ),
        *(
            _finding("attention", f"{name} is loaded but not in the manifest: a restart would lose it")
            for name in sorted(ready - set(manifest))
        ),
    ]
    if found:
        return found
    if not manifest:
        return [_finding("attention", "no model is published: make train")]
    return [_finding("ok", f"all {len(manifest)} published models are loaded: {', '.join(sorted(manifest))}")]


def _finding(state: State, says: str) -> Finding:
    return Finding("triton", state, says, "3.2 Triton")
