"""The canary's verdict, and the two ways a failed one takes its traffic away: in the run that finds it, or by sensor."""

from datetime import UTC, datetime
from typing import Any

import dagster as dg

from orchestration.defs.common import OWNERS
from orchestration.defs.serving import canary_arm, prediction_log
from orchestration.defs.verdicts import CANARY_CHECK, failed_verdicts
from orchestration.rollout.act import RollbackDone, roll_back
from orchestration.rollout.judgement import Trial
from orchestration.settings import Settings
from serving_gateway.control.store import RolloutStore

TRIAL_TAG = "drift/trial"


def _store() -> RolloutStore:
    return RolloutStore.connect(Settings.load().redis_url)


class VerdictConfig(dg.Config):
    """`roll_back_at_once`: a failed verdict is acted on in this very run; where that is off or fails, the sensor acts."""

    roll_back_at_once: bool = True


@dg.failure_hook(name="roll_back_at_once")
def roll_back_at_once(context: dg.HookContext) -> None:
    """Take the convicted canary's traffic in the detecting process, well before a sensor's run could start."""
    if not context.op_config["roll_back_at_once"]:
        return
    for failed in failed_verdicts(context.instance):
        if failed.run_id == context.run_id:
            actor = f"dagster:hook:roll_back_at_once:{context.run_id}"
            done = roll_back(_store(), failed.trial, reason=failed.reason, actor=actor)
            context.log.info("canary traffic is at zero on %d gateways after %.2f s", len(done.gateways), done.seconds)


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
    from orchestration.rollout.judgement import judge_trial
    from orchestration.rollout.verdict import Verdict

    store = _store()
    state = store.read()
    trial = Trial.of(state)
    if state is None or trial is None:
        verdict = Verdict("inconclusive", "no canary has traffic", 0)
    else:
        now = store.event_time() or datetime.now(UTC)
        baseline = state.arms.baseline.triton_model
        verdict = judge_trial(Settings.load().lake, trial, baseline=baseline, now=now)
    metadata: dict[str, Any] = {
        "outcome": verdict.outcome,
        "reason": verdict.reason,
        "canary": trial.canary if trial else "none",
        "epoch": str(trial.epoch if trial else 0),  # text: the UI plots numbers
        "generation": str(trial.generation if trial else 0),
        "rows": verdict.rows,
        "evidence that it is worse": verdict.e_fail,
        "evidence that it is not": verdict.e_pass,
    }
    check = dg.AssetCheckResult(
        check_name=CANARY_CHECK.name, passed=verdict.outcome not in {"fail", "error"}, metadata=metadata
    )
    return dg.MaterializeResult(metadata=metadata, check_results=[check])


class TrialConfig(dg.Config):
    """The trial that was judged: a rollout that has moved on since is left alone."""

    canary: str
    epoch: int
    generation: int


class RollbackConfig(dg.Config):
    """`trial` is set by the sensor; by hand, leave it out to roll back whatever canary has traffic."""

    reason: str
    trial: TrialConfig | None = None


@dg.op
def roll_back_canary(context: dg.OpExecutionContext, config: RollbackConfig) -> None:
    """Set the canary's weight to zero and wait until every gateway serves that."""
    sensor = context.run_tags.get("dagster/sensor_name")
    actor = f"dagster:{'sensor:' + sensor if sensor else 'job:rollback'}:{context.run_id}"
    store = _store()
    trial = Trial(**config.trial.model_dump()) if config.trial else Trial.of(store.read())
    if trial is None:
        context.log.info("no canary has traffic: nothing to roll back")
        return
    context.log_event(_record(trial, roll_back(store, trial, reason=config.reason, actor=actor), config.reason))


def _record(trial: Trial, done: RollbackDone, reason: str) -> dg.AssetMaterialization:
    served: dict[str, Any] = {"gateways": "none is alive; whichever starts will serve this state"}
    if done.gateways:
        served = {"gateways": ", ".join(done.gateways), "seconds until served": done.seconds}
    return dg.AssetMaterialization(
        asset_key="rollback",
        description=reason,
        metadata={
            "canary": trial.canary,
            "changed": done.changed,
            "generation": done.state.generation,
            **served,
            "as served": dg.MetadataValue.url(f"{Settings.load().gateway_url}/rollout"),
        },
    )


@dg.job(description="Take a canary's traffic away; also by hand from the launchpad.")
def rollback() -> None:
    """One op, so that it starts as fast as a run can."""
    roll_back_canary()


@dg.sensor(job=rollback, minimum_interval_seconds=1, default_status=dg.DefaultSensorStatus.RUNNING)
def rollback_on_failed_verdict(context: dg.SensorEvaluationContext) -> dg.RunRequest | dg.SkipReason:
    """While a convicted trial still has traffic, keep one rollback run going; a verdict of `error` needs a person.

    What stands in the rollout store decides, not a cursor: a rollback run that failed is requested again.
    """
    trial = Trial.of(_store().read())
    if trial is None:
        return dg.SkipReason("no canary has traffic")
    failed = next((f for f in failed_verdicts(context.instance) if f.trial == trial), None)
    if failed is None:
        return dg.SkipReason(f"no verdict has convicted {trial.canary} in generation {trial.generation}")
    tag = f"{trial.epoch}:{trial.generation}"
    runs = context.instance.get_runs(dg.RunsFilter(job_name=rollback.name, tags={TRIAL_TAG: tag}))
    if any(not run.is_finished for run in runs):
        return dg.SkipReason(f"a rollback of {trial.canary} is under way")
    config = RollbackConfig(
        reason=failed.reason,
        trial=TrialConfig(canary=trial.canary, epoch=trial.epoch, generation=trial.generation),
    )
    return dg.RunRequest(
        run_key=f"{tag}:{len(runs) + 1}",
        run_config=dg.RunConfig({"roll_back_canary": config}),
        tags={TRIAL_TAG: tag, "drift/verdict_run": failed.run_id},
    )
