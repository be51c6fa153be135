"""Published models that nobody needs are retired after each publishing, and on their own by this job."""

import dagster as dg

from orchestration.settings import Settings


@dg.op
def take_down_unneeded(context: dg.OpExecutionContext) -> None:
    """Unload and remove them; says which stay. Fails, and changes nothing, while a gateway serves an older state."""
    from orchestration.publishing.registered import retire_unneeded

    retired = retire_unneeded(Settings.load())
    context.log.info("retired: %s", ", ".join(retired.names) or "none")
    context.log.info("kept: %s", ", ".join(retired.kept) or "none")
    for line in retired.silent:
        context.log.warning(line)


@dg.job(description="Take down published models that no arm, no alias and no policy keeps; MLflow still has them.")
def retire_models() -> None:
    """Publishing does the same at its end; this is for when it could not."""
    take_down_unneeded()
