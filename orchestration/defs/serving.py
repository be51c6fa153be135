"""What the gateway serves, as assets: the baseline arm, the canary arm, and the log of predictions."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime

import dagster as dg
import redis
from pydantic import Field

from orchestration.defs.common import OWNERS
from orchestration.defs.models import challenger_on_triton, champion_on_triton
from orchestration.defs.verdicts import FailedVerdict
from orchestration.rollout.shadow_runs import ShadowReviewError, log_verdict, mark_shadows
from orchestration.settings import Settings
from orchestration.training.registry import Alias
from serving_gateway.contracts import ModelContract
from serving_gateway.contracts.rollout import Arm, RolloutState
from serving_gateway.control.store import RolloutStore, UnreadableDocumentError

# Why a review may not be in MLflow: MLflow's own reasons, or an entry of the audit that nobody can read.
REVIEW_ERRORS = (ShadowReviewError, UnreadableDocumentError)


def _naming(settings: Settings) -> AbstractContextManager[None]:
    """While an arm comes to name a published model, no retirement takes it down."""
    from orchestration.publishing.repository import Repository

    return Repository.of(settings).locked()


def _contract(settings: Settings, alias: Alias) -> ModelContract:
    """Asked for before the lock is taken: an MLflow that is down holds nobody else up."""
    from orchestration.publishing.registered import registered

    return registered(settings, alias).contract


def _arm(settings: Settings, store: RolloutStore, contract: ModelContract, alias: Alias) -> Arm:
    from orchestration.publishing.repository import Repository
    from orchestration.training.contract import triton_name

    name = triton_name(contract)
    if name not in Repository.of(settings).published():
        raise dg.Failure(f"{name} is not published: materialize {alias}_on_triton first", allow_retries=False)
    digest = store.put_contract(contract)
    return Arm(model=contract.model, version=contract.version, triton_model=name, contract_digest=digest)


@contextmanager
def challenger_arm(settings: Settings, store: RolloutStore) -> Iterator[Arm]:
    """The challenger as an arm that the rollout may name, for as long as no retirement takes it down.

    Raises dg.Failure where it is not published, RegistryError where there is none.
    """
    contract = _contract(settings, "challenger")
    with _naming(settings):
        yield _arm(settings, store, contract, "challenger")


def reviewed(
    store: RolloutStore, settings: Settings, log: dg.DagsterLogManager, failed: FailedVerdict | None = None
) -> dict[str, dg.MetadataValue]:
    """Mark the shadows in MLflow after the rollout was changed, and the verdict that changed it; returns how that went.

    The change stands whether or not MLflow is there, so its run does not fail: the next verdict makes up for it.
    """
    try:
        mark_shadows(store, settings.mlflow_url)
        if failed is not None:
            log_verdict(store, settings.mlflow_url, failed.trial, failed.verdict)
    except REVIEW_ERRORS as error:
        log.warning("shadow review not recorded: %s", error)
        return {"shadow review": dg.MetadataValue.text(f"not recorded: {error}")}
    return {"shadow review": dg.MetadataValue.text("recorded")}


def _described(settings: Settings, state: RolloutState) -> dict[str, dg.MetadataValue]:
    canary, shadow = state.arms.canary, state.arms.shadow
    return {
        "epoch and generation": dg.MetadataValue.text(f"{state.epoch}:{state.generation}"),
        "phase": dg.MetadataValue.text(state.phase),
        "baseline": dg.MetadataValue.text(state.arms.baseline.triton_model),
        "canary": dg.MetadataValue.text(canary.triton_model if canary else "none"),
        "canary weight (basis points)": dg.MetadataValue.int(state.canary_weight_bp),
        "shadow": dg.MetadataValue.text(shadow.triton_model if shadow else "none"),
        "shadow fraction": dg.MetadataValue.float(state.shadow_fraction),
        "as served": dg.MetadataValue.url(f"{settings.gateway_url}/rollout"),
    }


@dg.asset(
    deps=[champion_on_triton], group_name="serving", kinds={"redis", "mlflow"}, tags={"loop": "serving"}, owners=OWNERS
)
def baseline_arm(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
    """The champion answers everything from now on; a canary or shadow under way ends."""
    from orchestration.rollout.act import serve_baseline

    settings = Settings.load()
    store = RolloutStore.connect(settings.redis_url)
    contract = _contract(settings, "champion")
    with _naming(settings):
        arm = _arm(settings, store, contract, "champion")
        state = serve_baseline(store, arm, actor=f"dagster:{context.run.run_id}", now=datetime.now(UTC))
    return dg.MaterializeResult(metadata=_described(settings, state) | reviewed(store, settings, context.log))


class CanaryConfig(dg.Config):
    """How the challenger is tried."""

    weight: float = Field(
        default=0.1,
        description="Share of routing keys that the challenger answers, 0 to 1 in steps of 0.0001. "
        "With 0 it only shadows: it is judged, and answers nobody.",
    )
    shadow_fraction: float = Field(
        default=1.0,
        description="Share of the other requests that the challenger scores in the background, 0 to 1. "
        "The verdict rests on these rows.",
    )


@dg.asset(
    deps=[challenger_on_triton],
    group_name="serving",
    kinds={"redis", "mlflow"},
    tags={"loop": "serving"},
    owners=OWNERS,
)
def canary_arm(context: dg.AssetExecutionContext, config: CanaryConfig) -> dg.MaterializeResult:
    """The challenger answers its share of the routing keys, and scores the other requests in the background.

    While it shadows, the MLflow run that trained it carries the tag `shadow=true`.
    """
    from orchestration.rollout.act import serve_canary

    settings = Settings.load()
    store = RolloutStore.connect(settings.redis_url)
    with challenger_arm(settings, store) as arm:
        state = serve_canary(
            store,
            arm,
            weight=config.weight,
            shadow_fraction=config.shadow_fraction,
            actor=f"dagster:{context.run.run_id}",
            now=datetime.now(UTC),
        )
    return dg.MaterializeResult(metadata=_described(settings, state) | reviewed(store, settings, context.log))


@dg.asset(group_name="serving", kinds={"redis", "parquet"}, tags={"loop": "serving"}, owners=OWNERS)
def prediction_log() -> dg.MaterializeResult:
    """Every answered prediction, moved from the Redis stream to Parquet; readers see each once."""
    from orchestration.ingestion.predictions import land

    settings = Settings.load()
    landed = land(redis.Redis.from_url(settings.redis_url), settings.lake)
    return dg.MaterializeResult(
        metadata={
            "predictions": landed.predictions,
            "background scores": landed.paired,
            "ground truth": landed.feedback,
            "batches": landed.batches,
            "folder": dg.MetadataValue.path(str(settings.lake / "predictions")),
        }
    )
