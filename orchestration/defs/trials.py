"""A trial begins: a published challenger that was never tried goes to the first step of the policy."""

from datetime import UTC, datetime

import dagster as dg
from pydantic import Field

from orchestration.defs.due import next_attempt, or_skip, require_idle, store
from orchestration.defs.rollout import policy
from orchestration.defs.serving import challenger_arm, reviewed
from orchestration.event_clock import event_now
from orchestration.rollout.candidates import NoCandidateError, candidates
from orchestration.settings import Settings
from orchestration.timetable import NotDueError
from serving_gateway.contracts.rollout import RolloutState
from serving_gateway.control.transitions import NotPossibleError

CANDIDATE_TAG = "drift/candidate"


class BeginConfig(dg.Config):
    """Which model."""

    candidate: str = Field(
        default="",
        description="Set by the sensor: nothing begins where the challenger is another Triton model by now. By hand, leave "
        "it out: the challenger is tried, also once more.",
    )


@dg.op
def put_challenger_on_trial(context: dg.OpExecutionContext, config: BeginConfig) -> None:
    """The challenger begins a trial at the policy's first step. Fails where another trial is under way."""
    from orchestration.publishing.registered import served_name
    from orchestration.rollout.act import SignatureMismatchError, lead

    settings, rollout, steps = Settings.load(), store(), policy().rollout
    if config.candidate and config.candidate != served_name(settings, "challenger"):
        context.log.info("%s is not the challenger: nothing begins", config.candidate)
        return
    with challenger_arm(settings, rollout) as arm:
        actor, event_time = f"dagster:{context.run_id}", event_now(settings, rollout)
        try:
            state = lead(rollout, arm, steps, actor=actor, event_time=event_time, now=datetime.now(UTC))
        except (NotPossibleError, SignatureMismatchError) as error:
            raise dg.Failure(str(error), allow_retries=False) from error
    context.log.info("%s is on trial: epoch %d, generation %d", arm.triton_model, *state.position)
    reviewed(rollout, settings, context.log)


@dg.job(description="Put the challenger on a trial that the policy's steps lead; also by hand from the launchpad.")
def begin_trial() -> None:
    """One op, so that it starts as fast as a run can."""
    put_challenger_on_trial()


@dg.sensor(
    job=begin_trial,
    minimum_interval_seconds=30,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="A published challenger that is newer than the baseline and untried goes on trial, where the policy's "
    "`automatic` is true and no other trial is under way.",
)
@or_skip
def begin_trial_of_challenger(context: dg.SensorEvaluationContext) -> dg.RunRequest:
    """One run for a candidate and a state of the rollout; the run asks MLflow whether it is the challenger."""
    from orchestration.publishing.repository import Repository

    if not policy().rollout.automatic:
        raise NotDueError("the policy's `automatic` is false: people begin trials, by the job begin_trial")
    state, audit = store().known_since(None)
    if state is None:
        raise NotDueError("nothing is served yet: run train_champion")
    try:
        newest, *_ = candidates(Repository.of(Settings.load()).published(), state, audit)
    except NoCandidateError as error:
        raise NotDueError(str(error)) from error
    return _request(context.instance, newest, state)


def _request(instance: dg.DagsterInstance, candidate: str, state: RolloutState) -> dg.RunRequest:
    require_idle(instance, begin_trial.name)
    tags = {CANDIDATE_TAG: "{} at {}:{}".format(candidate, *state.position)}
    done = dg.RunsFilter(job_name=begin_trial.name, tags=tags, statuses=[dg.DagsterRunStatus.SUCCESS])
    if runs := instance.get_runs(done, limit=1):
        raise NotDueError(f"run {runs[0].run_id[:8]} of begin_trial found that {candidate} is not the challenger")
    attempt = next_attempt(instance, begin_trial.name, tags)
    config = dg.RunConfig({"put_challenger_on_trial": BeginConfig(candidate=candidate)})
    return dg.RunRequest(run_key=f"{tags[CANDIDATE_TAG]}:{attempt}", run_config=config, tags=tags)
