"""A challenger's whole way by the policy's steps: shadow, canary, promoted under watch, baseline; with holds of an hour.

Held and released on its way by an operator. The numbers are the shipped ones but for hours and rows.
"""

import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from orchestration.demo.dagster_runs import Run, entries
from orchestration.demo.story import training_config
from orchestration.publishing.registered import registered
from orchestration.rollout.act import serve_baseline
from orchestration.training.contract import MODEL, triton_name
from serving_gateway.contracts.rollout import RolloutState
from tests.e2e.conftest import CALM_DAY, DAY, HOLDOUT, TRAIN, Platform
from tests.servers import ROOT, wait_until

FIRST = CALM_DAY + DAY
pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]


def standing(platform: Platform) -> RolloutState:
    state = platform.store.read()
    assert state is not None
    return state


def mlflow_client(platform: Platform) -> Any:
    from mlflow import MlflowClient

    return MlflowClient(tracking_uri=platform.settings.mlflow_url)


@pytest.fixture
def challenger(platform: Platform) -> Iterator[str]:
    """A published challenger that has learnt from all but two of the champion's days; afterwards the champion is back."""
    before, alias = standing(platform), registered(platform.settings, "champion").contract.version
    serve_baseline(platform.store, before.arms.baseline, actor="test", now=datetime.now(UTC))  # ends what was on trial
    fewer = (TRAIN[0], TRAIN[1] - 2 * DAY)
    platform.succeed("train_challenger", ops={"challenger_model": training_config(fewer, HOLDOUT, "lightgbm")})
    yield triton_name(registered(platform.settings, "challenger").contract)
    back = serve_baseline(platform.store, before.arms.baseline, actor="test", now=datetime.now(UTC))
    assert platform.store.wait_until_served(back, timeout_s=10)
    mlflow_client(platform).set_registered_model_alias(MODEL, "champion", alias)


def advance(platform: Platform) -> tuple[str, Run]:
    """One run of the steps; what it decided."""
    run = platform.succeed("advance_rollout")
    return run.metadata("rollout_step")["decision"], run


def ruled(*words: str) -> str:
    command = [sys.executable, "-m", "serving_gateway.trial", *words]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def recorded(platform: Platform) -> list[dict[str, Any]]:
    """Metadata of rollout_state's materializations, newest first."""
    query = """{ assetNodes(assetKeys: [{path: ["rollout_state"]}]) { assetMaterializations(limit: 60) { metadataEntries {
        label ... on TextMetadataEntry { text } ... on IntMetadataEntry { intValue } ... on FloatMetadataEntry { floatValue }
        ... on PathMetadataEntry { path } ... on UrlMetadataEntry { url } } } } }"""
    (node,) = platform.runs.ask(query, {})["assetNodes"]
    return [entries(made["metadataEntries"]) for made in node["assetMaterializations"]]


def test_a_challenger_goes_through_shadow_and_canary_to_the_baseline(platform: Platform, challenger: str) -> None:
    old = standing(platform).arms.baseline.triton_model
    platform.rewind(FIRST)
    replay, minutes = platform.replay(), [m for day in (0, 1) for m in platform.minutes(FIRST + day * DAY)]
    replay.run(minutes[:1])  # the event clock stands at the day's first minute

    platform.succeed("begin_trial")
    state = standing(platform)
    assert (state.phase, state.canary_weight_bp) == ("shadow", 0)
    assert state.arms.canary is not None
    assert state.arms.canary.triton_model == challenger
    began = state.trial
    assert began is not None
    decision, run = advance(platform)
    assert decision == "Wait"
    assert "no prediction of this trial has landed yet" in run.metadata("rollout_step")["reason"]

    replay.run(minutes[1:1380])  # most of a day: labels for the loss to pass
    assert set(replay.tally.by_arm) == {"baseline"}
    assert "let me look" in ruled("hold", "--reason", "let me look")
    decision, run = advance(platform)
    assert (decision, "held by" in run.metadata("rollout_step")["reason"]) == ("Wait", True)
    ruled("release", "--reason", "looked")

    at, seen = 1380, []
    while (state := standing(platform)).phase != "stable":
        decision, run = advance(platform)
        assert decision in {"GoOn", "Settle"}, run.metadata("rollout_step")["reason"]
        state = standing(platform)
        seen.append((state.phase, state.canary_weight_bp))
        assert state.trial is not None
        assert (state.trial.epoch, state.trial.generation) == (began.epoch, began.generation), "one trial"
        assert state.trial.evidence
        assert (platform.settings.lake / "rollout" / "evidence" / state.trial.evidence).is_file()
        if state.phase == "promoted":
            ready = httpx.get(f"http://{platform.settings.triton_http}/v2/models/{old}/ready", trust_env=False)
            assert ready.status_code == 200, "a rollback is a change of weight"
        replay.run(minutes[at : at + 90])
        at += 90
    assert not replay.tally.errors
    assert seen == [("canary", 500), ("canary", 2500), ("promoted", 10_000), ("stable", 0)]
    assert replay.tally.by_arm["canary"] > 30
    assert state.arms.baseline.triton_model == challenger

    contract = registered(platform.settings, "challenger").contract
    client = mlflow_client(platform)
    wait_until(lambda: client.get_registered_model(MODEL).aliases["champion"] == contract.version, timeout_s=60)
    tags = client.get_run(contract.mlflow_run_id).data.tags
    assert (tags["shadow"], tags["rollout_phase"]) == ("true", "baseline")
    assert tags["shadow_verdict"].startswith("pass")

    generations = {one.generation for one in platform.store.history(20) if one.epoch == state.epoch}
    wait_until(lambda: generations <= {one["generation"] for one in recorded(platform)}, timeout_s=60)
    steps = [one for one in recorded(platform) if one.get("decision") in {"GoOn", "Settle"}][:4]
    assert [one["phase"] for one in steps][::-1] == [phase for phase, _ in seen]
    assert all(one["verdict"].startswith("pass") for one in steps)
