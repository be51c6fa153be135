"""The canary's verdict, and the two ways a failed one takes its traffic away: in the run that finds it, or by sensor."""

from datetime import UTC, datetime, timedelta
from typing import Any

import dagster as dg

from orchestration.defs.common import OWNERS
from orchestration.defs.serving import canary_arm, prediction_log
from orchestration.defs.verdicts import CANARY_CHECK, failed_verdict
from orchestration.rollout.act import RollbackDone, roll_back
from orchestration.settings import Settings
from serving_gateway.control.store import RolloutStore

EVIDENCE_WINDOW = timedelta(days=7)


def _act_on(canary: str, reason: str, *, actor: str) -> RollbackDone:
    store = RolloutStore.connect(Settings.load().redis_url)
    return roll_back(store, canary=canary, reason=reason, actor=actor)


class VerdictConfig(dg.Config):
    """`roll_back_at_once`: a failed verdict is acted on in this very run; the sensor follows it up either way."""

    roll_back_at_once: bool = True


@dg.failure_hook(name="roll_back_at_once")
def roll_back_at_once(context: dg.HookContext) -> None:
    """Take the convicted canary's traffic in the detecting process, well before a sensor's run could start."""
    if not context.op_config["roll_back_at_once"]:
        return
    failed = failed_verdict(context.instance)
    if failed is not None and failed.run_id == context.run_id:
        done = _act_on(failed.canary, failed.reason, actor=f"dagster:hook:roll_back_at_once:{context.run_id}")
        context.log.info("canary traffic is at zero on every gateway after %.2f s", done.seconds)


@dg.asset(
    deps=[prediction_log, canary_arm],
    group_name="rollout",
    kinds={"polars"},
    owners=OWNERS,
    hooks={roll_back_at_once},
    check_specs=[dg.AssetCheckSpec(CANARY_CHECK.name, asset="canary_verdict", blocking=True)],
)
def canary_verdict(config: VerdictConfig) -> dg.MaterializeResult:  # noqa: ARG001 - the hook reads it
    """Canary against baseline on the rows that both scored and whose labels are known: pass, fail, inconclusive or error."""
    from orchestration.rollout.judgement import judge_canary

    settings = Settings.load()
    store = RolloutStore.connect(settings.redis_url)
    now = store.event_time() or datetime.now(UTC)
    canary, verdict = judge_canary(settings.lake, store.read(), since=now - EVIDENCE_WINDOW, now=now)
    metadata: dict[str, Any] = {
        "outcome": verdict.outcome,
        "reason": verdict.reason,
        "canary": canary or "none",
        "rows": verdict.rows,
        "evidence that it is worse": verdict.e_fail,
        "evidence that it is not": verdict.e_pass,
    }
    check = dg.AssetCheckResult(
        check_name=CANARY_CHECK.name, passed=verdict.outcome not in {"fail", "error"}, metadata=metadata
    )
    return dg.MaterializeResult(metadata=metadata, check_results=[check])


class RollbackConfig(dg.Config):
    """`canary`: Triton model to take traffic from; another canary under way meanwhile is left alone."""

    canary: str
    reason: str


@dg.op
def roll_back_canary(context: dg.OpExecutionContext, config: RollbackConfig) -> None:
    """Set the canary's weight to zero and wait until every gateway serves that."""
    sensor = context.run_tags.get("dagster/sensor_name")
    actor = f"dagster:{'sensor:' + sensor if sensor else 'job:rollback'}:{context.run_id}"
    done = _act_on(config.canary, config.reason, actor=actor)
    context.log_event(
        dg.AssetMaterialization(
            asset_key="rollback",
            description=config.reason,
            metadata={
                "canary": config.canary,
                "changed": done.changed,
                "generation": done.state.generation,
                "gateways": ", ".join(done.gateways) or "none alive",
                "seconds until served": done.seconds,
                "as served": dg.MetadataValue.url(f"{Settings.load().gateway_url}/rollout"),
            },
        )
    )


@dg.job(description="Take a canary's traffic away; also by hand from the launchpad.")
def rollback() -> None:
    """One op, so that it starts as fast as a run can."""
    roll_back_canary()


@dg.sensor(job=rollback, minimum_interval_seconds=1, default_status=dg.DefaultSensorStatus.RUNNING)
def rollback_on_failed_verdict(context: dg.SensorEvaluationContext) -> dg.RunRequest | dg.SkipReason:
    """A failed `canary_is_no_worse` check requests one rollback run; a verdict of `error` needs a person instead."""
    failed = failed_verdict(context.instance)
    if failed is None:
        return dg.SkipReason("the last verdict on a canary is not a failure")
    if context.cursor == failed.run_id:
        return dg.SkipReason(f"the failed verdict of run {failed.run_id} was acted on already")
    context.update_cursor(failed.run_id)
    return dg.RunRequest(
        run_key=failed.run_id,
        run_config=dg.RunConfig({"roll_back_canary": RollbackConfig(canary=failed.canary, reason=failed.reason)}),
        tags={"drift/verdict_run": failed.run_id},
    )
