"""The canary's verdict, and the two ways a failed one takes its traffic away: in the run that finds it, or by sensor."""

import logging
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import dagster as dg
from pydantic import Field

from orchestration.defs.common import OWNERS
from orchestration.defs.serving import canary_arm, prediction_log, reviewed
from orchestration.defs.verdicts import CANARY_CHECK, FailedVerdict, failed_verdicts, judged_on, verdict_metadata
from orchestration.event_clock import event_now
from orchestration.rollout.act import RollbackDone, roll_back
from orchestration.rollout.decide import RollBack
from orchestration.rollout.evidence_documents import evidence_document, evidence_folder, keep
from orchestration.rollout.policy import EvidencePolicy, Policy, PolicyError, read_policy
from orchestration.rollout.shadow_runs import log_verdict, mark_shadows
from orchestration.rollout.trial import Trial
from orchestration.rollout.verdict import Verdict
from orchestration.settings import Settings
from serving_gateway.control.store import RolloutStore

_log = logging.getLogger(__name__)
TRIAL_TAG = "drift/trial"


def _store() -> RolloutStore:
    return RolloutStore.connect(Settings.load().redis_url)


def policy() -> Policy:
    """The policy of this platform. Raises dg.Failure, without a retry, naming the file and the field."""
    try:
        return read_policy(Settings.load().rollout_policy)
    except PolicyError as error:
        raise dg.Failure(str(error), allow_retries=False) from error


def _kept(failed: FailedVerdict | None, log: dg.DagsterLogManager) -> str:
    """Name of the document of a conviction. A disk or a policy that refuses keeps no convicted canary going."""
    if failed is None or failed.judged is None:
        return ""
    try:
        settings = Settings.load()
        document = evidence_document(failed.judged, RollBack(failed.reason), read_policy(settings.rollout_policy))
        return keep(evidence_folder(settings.lake), document)
    except (OSError, PolicyError) as error:
        log.warning("the evidence of %s is not kept: %s", failed.trial.canary, error)
        return ""


class VerdictConfig(dg.Config):
    """What follows a failed verdict."""

    roll_back_at_once: bool = Field(
        default=True,
        description="Act on a failed verdict in this very run. Where that is off or fails, the sensor "
        "rollback_on_failed_verdict acts.",
    )


@dg.failure_hook(name="roll_back_at_once")
def roll_back_at_once(context: dg.HookContext) -> None:
    """Take the convicted canary's traffic in the detecting process, well before a sensor's run could start.

    Only then, and whether or not the gateways obeyed, the review is written to MLflow, which may be slow or away. An error
    of this hook says that a convicted canary may still have traffic. Where the hook is off, the sensor's run does both.
    """
    if not context.op_config["roll_back_at_once"]:
        return
    for failed in failed_verdicts(context.instance):
        if failed.run_id != context.run_id:
            continue
        try:
            actor = f"dagster:hook:roll_back_at_once:{context.run_id}"
            evidence = _kept(failed, context.log)
            done = roll_back(_store(), failed.trial, reason=failed.reason, actor=actor, evidence=evidence)
            context.log.info("canary traffic is at 0 on %d gateways after %.2f s", len(done.gateways), done.seconds)
        finally:
            reviewed(_store(), Settings.load(), context.log, failed)


@dg.asset(
    deps=[prediction_log, canary_arm],
    group_name="rollout",
    kinds={"polars", "mlflow"},
    tags={"loop": "rollout"},
    owners=OWNERS,
    hooks={roll_back_at_once},
    check_specs=[
        dg.AssetCheckSpec(
            CANARY_CHECK.name,
            asset="canary_verdict",
            blocking=True,
            description="Fails where the model on trial has been shown to be worse than the baseline, at an error rate "
            "that holds however often it is looked at (orchestration/rollout/policy.toml).",
        )
    ],
)
def canary_verdict(config: VerdictConfig) -> Iterator[dg.MaterializeResult]:  # noqa: ARG001 - the hook reads it
    """Canary or shadow against baseline: errors, invalid outputs, shift of the scores, latency, and loss on known labels.

    The outcome is pass, fail, inconclusive or error. It is written to the MLflow run of a model that shadows, too.
    """
    from orchestration.rollout.evidence_plot import evidence_markdown
    from orchestration.rollout.judgement import registered_models, trial_evidence
    from orchestration.rollout.verdict import judge

    store, rates = _store(), policy().evidence
    state = store.read()
    trial = Trial.of(state)
    verdict, plot, judged = Verdict("inconclusive", "no model is on trial"), None, {}
    if state is not None and trial is not None:
        settings = Settings.load()
        now = event_now(settings, store)
        registered = registered_models(settings, store, state)
        baseline = state.arms.baseline.triton_model
        evidence = trial_evidence(settings.lake, trial, baseline=baseline, now=now, registered=registered)
        verdict, plot, judged = judge(evidence, rates), evidence_markdown(evidence, rates), judged_on(state, now)
    _expose(trial, verdict, rates)
    metadata = verdict_metadata(trial, verdict) | judged
    check = dg.AssetCheckResult(
        check_name=CANARY_CHECK.name, passed=verdict.outcome not in {"fail", "error"}, metadata=metadata
    )
    if plot is not None:
        metadata["evidence"] = dg.MetadataValue.md(plot)
    yield dg.MaterializeResult(metadata={**metadata, "dagster/row_count": metadata["rows"]}, check_results=[check])
    if verdict.outcome != "fail":  # then whoever takes the traffic writes the review, after that
        _review(trial, verdict)


def _expose(trial: Trial | None, verdict: Verdict, rates: EvidencePolicy) -> None:
    """The evidence as gauges. A disk that refuses them keeps no verdict from being acted on."""
    from orchestration.gauges import FOLDER, write_gauges
    from orchestration.rollout.gauges import FILE, evidence_gauges

    path = Settings.load().reports / FOLDER / FILE
    try:
        write_gauges(path, evidence_gauges(trial, verdict, rates, datetime.now(UTC)))
    except OSError as error:
        _log.warning("the evidence is not exposed to Prometheus: %s", error)


def _review(trial: Trial | None, verdict: Verdict) -> None:
    """Bring the MLflow runs of shadows up to date; whoever ended one may not have been able to."""
    store, url = _store(), Settings.load().mlflow_url
    mark_shadows(store, url)
    if trial is not None:
        log_verdict(store, url, trial, verdict)


class TrialConfig(dg.Config):
    """The trial that was judged: a rollout that has moved on since is left alone."""

    canary: str = Field(description="Triton model of the canary or shadow.")
    epoch: int = Field(description="Epoch of the rollout state that put it on trial.")
    generation: int = Field(description="Generation of that state.")


class RollbackConfig(dg.Config):
    """Why, and what is rolled back."""

    reason: str = Field(default="rolled back by hand", description="Kept in the rollout's audit.")
    trial: TrialConfig | None = Field(
        default=None,
        description="Set by the sensor. By hand, leave it out: whatever is on trial is rolled back.",
    )


@dg.op
def roll_back_canary(context: dg.OpExecutionContext, config: RollbackConfig) -> None:
    """Set the canary's weight to zero, end its shadow, and wait until every gateway serves that."""
    sensor = context.run_tags.get("dagster/sensor_name")
    actor = f"dagster:{'sensor:' + sensor if sensor else 'job:rollback'}:{context.run_id}"
    store = _store()
    trial = Trial(**config.trial.model_dump()) if config.trial else Trial.of(store.read())
    if trial is None:
        context.log.info("no model is on trial: nothing to roll back")
        return
    failed = next((f for f in failed_verdicts(context.instance) if f.trial == trial), None)
    evidence = _kept(failed, context.log) if config.trial else ""
    done = roll_back(store, trial, reason=config.reason, actor=actor, evidence=evidence)
    review = reviewed(store, Settings.load(), context.log, failed)
    context.log_event(_record(trial, done, config.reason, review))


def _record(
    trial: Trial, done: RollbackDone, reason: str, review: dict[str, dg.MetadataValue]
) -> dg.AssetMaterialization:
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
            **review,
            "as served": dg.MetadataValue.url(f"{Settings.load().gateway_url}/rollout"),
        },
    )


@dg.job(description="Take a canary's traffic away; also by hand from the launchpad.")
def rollback() -> None:
    """One op, so that it starts as fast as a run can."""
    roll_back_canary()


@dg.sensor(
    job=rollback,
    minimum_interval_seconds=1,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="A trial that a verdict has convicted loses its traffic.",
)
def rollback_on_failed_verdict(context: dg.SensorEvaluationContext) -> dg.RunRequest | dg.SkipReason:
    """While a convicted trial is under way, keep one rollback run going; a verdict of `error` needs a person.

    What stands in the rollout store decides, not a cursor: a rollback run that failed is requested again.
    """
    trial = Trial.of(_store().read())
    if trial is None:
        return dg.SkipReason("no model is on trial")
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
