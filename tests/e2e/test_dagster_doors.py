"""The webserver's GraphQL as the UI uses it: the launchpad's scaffold, its launch, an asset's Materialize button."""

import subprocess
from typing import Any

import pytest

from orchestration.defs.features import CONTRACTS_CHECK
from tests.e2e.conftest import Platform
from tests.servers import BIN, ROOT

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]
# What the launchpad asks when it opens, when it is typed into, and when Launch is pressed.
SCAFFOLD = """query ConfigForRun($selector: PipelineSelector!) { runConfigSchemaOrError(selector: $selector, mode: "default") {
    __typename ... on RunConfigSchema { rootDefaultYaml } } }"""
VALID = """query PipelineExecutionConfigValidation($selector: PipelineSelector!, $config: RunConfigData!) {
    isPipelineConfigValid(pipeline: $selector, runConfigData: $config, mode: "default") {
        __typename ... on RunConfigValidationInvalid { errors { message } } } }"""
LAUNCH = """mutation LaunchPipelineExecution($executionParams: ExecutionParams!) {
    launchPipelineExecution(executionParams: $executionParams) {
        __typename ... on LaunchRunSuccess { run { runId } } ... on RunConfigValidationInvalid { errors { message } }
        ... on PythonError { message } } }"""
JOBS = """query Jobs($of: RepositorySelector!) { repositoryOrError(repositorySelector: $of) { ... on Repository {
    pipelines { name } } } }"""


def selector(platform: Platform, job: str, **more: Any) -> dict[str, Any]:
    return {**platform.runs.repository, "pipelineName": job, **more}


def scaffold(platform: Platform, job: str) -> str:
    """The YAML that the launchpad fills in."""
    found = platform.runs.ask(SCAFFOLD, {"selector": selector(platform, job)})["runConfigSchemaOrError"]
    return str(found["rootDefaultYaml"])


def launch(platform: Platform, of: dict[str, Any], config: str) -> str:
    tags = [{"key": "dagster/from_ui", "value": "true"}]
    params = {"selector": of, "mode": "default", "runConfigData": config, "executionMetadata": {"tags": tags}}
    answer = platform.runs.ask(LAUNCH, {"executionParams": params})["launchPipelineExecution"]
    assert answer["__typename"] == "LaunchRunSuccess", answer
    return str(answer["run"]["runId"])


def test_every_jobs_scaffold_is_valid_as_it_stands(platform: Platform) -> None:
    found = platform.runs.ask(JOBS, {"of": platform.runs.repository})["repositoryOrError"]["pipelines"]
    jobs = [job["name"] for job in found if not job["name"].startswith("__")]
    assert len(jobs) >= 10
    refused = {}
    for job in jobs:
        asked = {"selector": selector(platform, job), "config": scaffold(platform, job)}
        answer = platform.runs.ask(VALID, asked)["isPipelineConfigValid"]
        if answer["__typename"] != "PipelineConfigValidationValid":
            refused[job] = answer
    assert refused == {}


def test_a_wrong_value_is_refused_before_anything_runs(platform: Platform) -> None:
    asked = {"selector": selector(platform, "report_drift"), "config": "ops: {drift_report: {config: {hours: soon}}}"}
    answer = platform.runs.ask(VALID, asked)["isPipelineConfigValid"]
    assert "hours" in answer["errors"][0]["message"]


def test_a_job_runs_from_the_launchpads_own_scaffold(platform: Platform) -> None:
    job = "land_predictions"
    run = platform.runs.wait(launch(platform, selector(platform, job), scaffold(platform, job)))
    assert run.status == "SUCCESS", run.failure
    assert "predictions" in run.metadata("prediction_log")


def test_the_materialize_button_of_an_asset(platform: Platform) -> None:
    key = {"path": ["feature_registry"]}
    checks = [{"assetKey": key, "name": CONTRACTS_CHECK}]  # the UI names them too, and Dagster lets nobody leave it out
    of = selector(platform, "__ASSET_JOB", assetSelection=[key], assetCheckSelection=checks)
    run = platform.runs.wait(launch(platform, of, "{}"))
    assert run.status == "SUCCESS", run.failure
    assert run.metadata("feature_registry")["views"] > 5


def test_a_job_is_launched_from_the_shell_onto_the_daemons_queue(
    platform: Platform, stack_environment: dict[str, str]
) -> None:
    command = [BIN / "dagster", "job", "launch", "-j", "land_predictions", "--grpc-host", "127.0.0.1"]
    command += ["--grpc-port", stack_environment["CODE_SERVER_PORT"]]
    done = subprocess.run(command, cwd=ROOT, env=stack_environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    query = (
        '{ runsOrError(filter: {pipelineName: "land_predictions"}, limit: 1) { ... on Runs { results { runId } } } }'
    )
    (latest,) = platform.runs.ask(query, {})["runsOrError"]["results"]
    run = platform.runs.wait(latest["runId"])
    assert run.status == "SUCCESS", run.failure
