"""The health of the model that answers: what is usual for it, what its labels say, and whether a new one is due."""

from datetime import datetime
from typing import TYPE_CHECKING, Any

import dagster as dg
from pydantic import Field

from orchestration.defs.common import OWNERS
from orchestration.defs.features import training_rows
from orchestration.defs.health_metadata import report_metadata, usual_metadata
from orchestration.defs.serving import prediction_log
from orchestration.event_clock import event_now
from orchestration.settings import Settings
from orchestration.training.recipes import RecipeName

if TYPE_CHECKING:
    from orchestration.health.report import HealthReport

HEALTH_CHECK = dg.AssetCheckSpec(
    "model_is_healthy",
    asset="model_health",
    description="No two windows running in which the scores have left the world (HEALTH_POLICY_PATH). Two ask for a new model.",
)
LABELS_CHECK = dg.AssetCheckSpec(
    "labels_are_on_time",
    asset="model_health",
    description="Every prediction has its label after the policy's longest wait. Late labels say nothing of the model.",
)


class UsualConfig(dg.Config):
    """Whether what is usual is found out anew."""

    refit: bool = Field(default=False, description="Fit again what is already known; else it is kept.")
    recipe: RecipeName = Field(RecipeName.lightgbm, description="How the models of the past windows are trained.")


class HealthConfig(dg.Config):
    """How far back is looked."""

    days: int = Field(default=56, ge=7, description="Days of event time in which windows are looked for.")


@dg.asset(
    deps=[training_rows], group_name="health", kinds={"polars", "lightgbm"}, owners=OWNERS, tags={"loop": "health"}
)
def usual_health(config: UsualConfig) -> dg.MaterializeResult:
    """How models did in weeks of the training window that they had not seen: what thresholds are fitted to.

    Made once for a registered model and then kept, so that a threshold does not follow what it is to catch.
    """
    from orchestration.health.past import fitted_past, is_usual
    from orchestration.health.policy import read_health_policy
    from orchestration.health.report import past_file, read_past, write_document
    from serving_gateway.control.store import RolloutStore

    settings = Settings.load()
    contract = RolloutStore.connect(settings.redis_url).baseline_contract()
    policy = read_health_policy(settings.health_policy)
    past = read_past(settings.lake)
    if config.refit or past is None or not is_usual(past, contract.model, policy):
        past = fitted_past(settings.lake / "training", contract, config.recipe, policy)
        write_document(past_file(settings.lake), past)
    return dg.MaterializeResult(metadata=usual_metadata(past, policy))


@dg.asset(
    deps=[prediction_log, usual_health],
    group_name="health",
    kinds={"polars"},
    owners=OWNERS,
    tags={"loop": "health"},
    check_specs=[HEALTH_CHECK, LABELS_CHECK],
)
def model_health(config: HealthConfig) -> dg.MaterializeResult:
    """Log-loss, Brier score, calibration and AUC of the answering model by day and by window, as far as labels are known.

    With the label-maturity watermark, the thresholds, and an estimate without labels of the window under way.
    """
    from orchestration.gauges import FOLDER, write_gauges
    from orchestration.health.gauges import health_gauges
    from orchestration.health.judged import answering, look
    from orchestration.health.policy import read_health_policy
    from orchestration.health.report import write_report
    from serving_gateway.control.store import NoRolloutError, RolloutStore

    settings = Settings.load()
    store = RolloutStore.connect(settings.redis_url)
    state, now = store.read(), event_now(settings, store)
    if state is None:
        raise NoRolloutError("nothing is served yet: materialize baseline_arm first")
    policy = read_health_policy(settings.health_policy)
    report = look(settings.lake, answering(state), policy, now=now, days=config.days)
    path = write_report(settings.reports, report)
    write_gauges(settings.reports / FOLDER / "health.prom.txt", health_gauges(report))
    address = f"{settings.reports_url}/health/{path.name}"
    return dg.MaterializeResult(metadata=report_metadata(report, address), check_results=_checks(report, now))


def _checks(report: "HealthReport", now: datetime) -> list[dg.AssetCheckResult]:
    verdict = report.verdict
    seen: dict[str, Any] = {"as_of": now.isoformat(), "model": report.triton_model}
    return [
        dg.AssetCheckResult(
            check_name=HEALTH_CHECK.name,
            passed=verdict.outcome != "bad",
            severity=dg.AssetCheckSeverity.WARN,  # it asks for a new model, and stops nothing
            metadata={
                **seen,
                "outcome": verdict.outcome,
                "reason": verdict.reason,
                "windows until": str(verdict.as_of or "none"),
            },
        ),
        dg.AssetCheckResult(
            check_name=LABELS_CHECK.name,
            passed=not report.late_labels,
            severity=dg.AssetCheckSeverity.WARN,
            metadata={**seen, "reason": report.late_labels or f"labels are known up to {report.watermark:%F %R}"},
        ),
    ]
