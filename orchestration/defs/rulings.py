"""Hold, release and approve the trial under way from Dagster's launchpad. To abort it, launch `rollback`."""

from datetime import UTC, datetime

import dagster as dg
from pydantic import Field

from orchestration.defs.due import store
from serving_gateway.control.changes import Ruling, Word, rule
from serving_gateway.control.store import NoRolloutError, StaleGenerationError
from serving_gateway.control.transitions import NotPossibleError


class WordConfig(dg.Config):
    """Why."""

    reason: str = Field(
        default="by hand, from Dagster", description="Kept in the rollout's audit.", min_length=1, max_length=500
    )


def _ruled(context: dg.OpExecutionContext, ruling: Ruling, reason: str) -> None:
    try:
        word = Word(reason=reason)
        state, changed = rule(store(), ruling, word, actor=f"dagster:{context.run_id}", now=datetime.now(UTC))
    except (NotPossibleError, NoRolloutError, StaleGenerationError) as error:
        raise dg.Failure(f"nothing was changed: {error}", allow_retries=False) from error
    said = "stands now" if changed else "stood already, nothing was changed"
    context.log.info("%s %s: epoch %d, generation %d, %s", ruling, said, *state.position, state.trial)


@dg.op
def hold_trial(context: dg.OpExecutionContext, config: WordConfig) -> None:
    """The trial stays at its step until it is released; a failed verdict still ends it."""
    _ruled(context, "hold", config.reason)


@dg.op
def release_trial(context: dg.OpExecutionContext, config: WordConfig) -> None:
    """The trial may go on."""
    _ruled(context, "release", config.reason)


@dg.op
def approve_trial(context: dg.OpExecutionContext, config: WordConfig) -> None:
    """The trial may leave the step that it is at, once the rest that the policy asks for is there."""
    _ruled(context, "approve", config.reason)


@dg.job(description="Keep the trial under way at its step until it is released.")
def hold_rollout() -> None:
    """By hand, with a reason in the launchpad."""
    hold_trial()


@dg.job(description="Let a trial that is held go on.")
def release_rollout() -> None:
    """By hand, with a reason in the launchpad."""
    release_trial()


@dg.job(description="Let the trial under way leave its step, once the rest that the policy asks for is there.")
def approve_rollout() -> None:
    """By hand, with a reason in the launchpad."""
    approve_trial()
