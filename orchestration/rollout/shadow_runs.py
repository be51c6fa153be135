"""A shadow's review stands in MLflow, on the run that trained its version: since when, how it is judged, how it ended.

The rollout's audit stream says when a model shadowed; the tags follow it, whoever changed the rollout. So they are
written after a change, never before, and what MLflow missed while it was away is made up by the next call.
"""

import re
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import astuple, dataclass, replace
from typing import Any

from orchestration.rollout.trial import Trial
from orchestration.rollout.verdict import Verdict
from serving_gateway.contracts.rollout import Arm, RolloutState
from serving_gateway.control.store import RolloutStore

# Changes of the rollout that are looked back on.
LOOK_BACK = 1000
REACH_TIMEOUT_S = 2.0


class ShadowReviewError(Exception):
    """The review is not in MLflow. What was changed in the rollout stands; the next verdict or change writes it."""


@dataclass(frozen=True)
class Spell:
    """The last uninterrupted time in which `arm` shadowed: from `since` (ISO 8601), up to the state that `ended` it.

    `trial`: (epoch, generation) of the state that put it on trial.
    """

    arm: Arm
    since: str
    trial: tuple[int, int]
    ended: RolloutState | None = None

    @property
    def tags(self) -> dict[str, str | None]:
        """The run's tags; None where a tag must not be there."""
        over = self.ended
        return {
            "shadow": "true",
            "shadow_since": self.since,
            "shadow_trial": "{}:{}".format(*self.trial),
            "shadow_ended": over.time if over else None,
            "shadow_end": f"{over.phase} by {over.actor}: {over.reason}" if over else None,
        }


def latest_spells(history: Sequence[RolloutState]) -> list[Spell]:
    """The last spell of every model in `history` (newest first, as the store gives it)."""
    spells: dict[str, Spell] = {}
    now: Spell | None = None
    for state in reversed(history):
        shadow = state.arms.shadow
        if now is not None and shadow != now.arm:
            spells[now.arm.triton_model] = replace(now, ended=state)
            now = None
        if shadow is not None:
            began = Trial.of(state)
            now = Spell(shadow, now.since if now else state.time, began.since if began else state.position)
            spells[shadow.triton_model] = now
    return list(spells.values())


def mark_shadows(store: RolloutStore, mlflow_url: str) -> list[str]:
    """Bring the tags of every model that shadows or has shadowed in line with the audit; returns the runs that changed.

    A model whose contract is not in the store has no run that could be named. Raises ShadowReviewError.
    """
    wanted = {
        contract.mlflow_run_id: spell.tags
        for spell in latest_spells(store.history(LOOK_BACK))
        if (contract := store.contract(spell.arm.contract_digest)) is not None
    }
    if not wanted:
        return []
    with client(mlflow_url) as mlflow:
        return [run for run, tags in wanted.items() if _bring_in_line(mlflow, run, tags)]


def log_verdict(store: RolloutStore, mlflow_url: str, trial: Trial, verdict: Verdict) -> None:
    """Write the verdict on a shadow to its run: the loss's figures as metrics, NaN where it has none; words as tags.

    `shadow_verdict` holds the sentence, `shadow_tests` the outcome of each test. Nothing is written for a model that has
    not shadowed in this trial. Raises ShadowReviewError.
    """
    spells = latest_spells(store.history(LOOK_BACK))
    spell = next((s for s in spells if (s.arm.triton_model, *s.trial) == astuple(trial)), None)
    contract = store.contract(spell.arm.contract_digest) if spell else None
    if contract is None:
        return
    loss = verdict.criterion("loss")
    metrics = {
        "shadow_rows": float(loss.rows),
        "shadow_brier_difference": loss.difference,
        "shadow_evidence_fail": loss.e_fail,
        "shadow_evidence_pass": loss.e_pass,
    }
    tags = {
        "shadow_verdict": f"{verdict.outcome}: {verdict.reason}",
        "shadow_tests": ", ".join(f"{result.name}: {result.outcome}" for result in verdict.criteria),
    }
    now_ms = time.time_ns() // 1_000_000  # to MLflow the highest step is the latest, and a new trial has fewer rows
    with client(mlflow_url) as mlflow:
        for name, value in metrics.items():
            mlflow.log_metric(contract.mlflow_run_id, name, value, step=now_ms)
        for name, tag in tags.items():
            mlflow.set_tag(contract.mlflow_run_id, name, tag)


@contextmanager
def client(url: str) -> Iterator[Any]:
    """An MlflowClient of the server at `url`. MLflow's errors become ShadowReviewError, its absence at once."""
    import httpx

    try:  # MLflow's own client would try again for minutes
        httpx.get(f"{url}/health", timeout=REACH_TIMEOUT_S, trust_env=False).raise_for_status()
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise _unreviewed(f"MLflow at {url} does not answer ({error}); see its log, then judge again") from None
    from mlflow import MlflowClient
    from mlflow.exceptions import MlflowException

    try:
        yield MlflowClient(tracking_uri=url)
    except MlflowException as error:
        raise _unreviewed(f"MLflow at {url}: {error.message}") from None


def without_password(text: str) -> str:
    """`text` as it may be shown: addresses lose user and password."""
    return re.sub(r"//\S*@", "//", text)


def _unreviewed(what: str) -> ShadowReviewError:
    """Raised without its cause, whose words hold the whole address: notices and Dagster's pages show them."""
    return ShadowReviewError(without_password(what))


def _bring_in_line(mlflow: Any, run_id: str, tags: Mapping[str, str | None]) -> bool:
    from mlflow.exceptions import MlflowException

    try:
        standing = mlflow.get_run(run_id).data.tags
    except MlflowException as error:
        if error.error_code == "RESOURCE_DOES_NOT_EXIST":  # a run that was deleted for good has nobody to tell
            return False
        raise
    differing = {name: value for name, value in tags.items() if standing.get(name) != value}
    if "shadow_trial" in differing:  # what was found is another trial's
        differing |= dict.fromkeys({"shadow_verdict", "shadow_tests"} & standing.keys())
    for name, value in differing.items():
        if value is None:
            mlflow.delete_tag(run_id, name)
        else:
            mlflow.set_tag(run_id, name, value)
    return bool(differing)
