"""Resources of the code location."""

import subprocess
from collections.abc import Iterator
from typing import Any

import dagster as dg

from orchestration.settings import ROOT, Settings


@dg.resource(
    config_schema={
        "experiment_name": dg.Field(dg.StringSource, default_value="flight_delay", description="MLflow's experiment."),
        "mlflow_tracking_uri": dg.Field(
            dg.Noneable(dg.StringSource),
            default_value=None,
            description="The tracking server; none: the platform's own.",
        ),
        "env": dg.Field(
            dict, default_value={}, description="Variables to set before MLflow starts, such as credentials."
        ),
        "extra_tags": dg.Field(dict, default_value={}, description="Further tags of the MLflow run."),
    }
)
def mlflow(context: dg.InitResourceContext) -> Iterator[Any]:
    """dagster-mlflow's `mlflow_tracking`: one MLflow run for a Dagster run, tagged with its id.

    Imported when a step asks for it: the import takes seconds, and every run loads this module.
    """
    from dagster_mlflow import mlflow_tracking

    settings = Settings.load()
    run_id = context.run.run_id if context.run else ""
    config = dict(context.resource_config)
    config["mlflow_tracking_uri"] = config["mlflow_tracking_uri"] or settings.mlflow_url
    config["extra_tags"] = {**_origin(f"{settings.dagster_url}/runs/{run_id}"), **config["extra_tags"]}
    start: Any = mlflow_tracking.resource_fn
    yield from start(context.replace_config(config))


def _origin(run_url: str) -> dict[str, str]:
    """Tags that lead back to what made the run; `mlflow.note.content` is what MLflow's page shows as its description."""
    tags = {"dagster_run_url": run_url, "mlflow.note.content": f"Dagster run: <{run_url}>"}
    try:
        found = subprocess.run(["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):  # no git here, or an unpacked archive
        return tags
    return {**tags, "mlflow.source.git.commit": found.stdout.strip()}


defs = dg.Definitions(resources={"mlflow": mlflow}, executor=dg.in_process_executor)
