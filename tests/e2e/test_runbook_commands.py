"""A night with the runbook: a shadow is convicted, a canary is rolled back by hand, every command shows what it says.

The tests stand in the order of the page and build on one another.
"""

import shutil
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from orchestration.doctor.__main__ import examine
from orchestration.embedded.alerting import spare_ports
from orchestration.rollout.act import serve_canary
from orchestration.rollout.shadow_review import Review, reviews
from orchestration.rollout.shadow_runs import mark_shadows
from orchestration.settings import Settings
from serving_gateway.contracts.rollout import RolloutState
from serving_gateway.control.transitions import rolled_back
from tests.docs.examples import addresses, on_ports_of
from tests.docs.runbook import OLDER, RUNBOOK, Command, commands, lines
from tests.e2e.conftest import CALM_DAY, DAY, Platform
from tests.servers import BIN, ROOT, wait_until

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.timeout(600),
    pytest.mark.skipif(shutil.which("curl") is None, reason="the runbook's commands use curl"),
]
SHADOWED_DAY = CALM_DAY + DAY
REQUEST = {
    "origin": "JFK", "carrier": "B6", "dest": "MCO", "tailnum": "N505JB",
    "dow": 4, "dep_min": 900, "distance": 944, "block": 180, "sched_load": 20,
}  # fmt: skip
Environment = dict[str, str]


@pytest.fixture(scope="module")
def shadowed(platform: Platform) -> str:
    """A day on which a bad challenger only shadowed; returns its Triton model."""
    shadow = platform.start_canary(weight=0.0)
    platform.rewind(SHADOWED_DAY)
    tally = platform.replay().run(platform.minutes(SHADOWED_DAY))
    assert not tally.errors
    assert set(tally.by_arm) == {"baseline"}, "a shadow answers nobody"
    return shadow


@pytest.fixture(scope="module")
def incident(platform: Platform, shadowed: str) -> Iterator[str]:
    """The same challenger with a share of the traffic, and the reports: what the page is read with."""
    platform.succeed("report_drift")
    platform.succeed("judge_health")
    arm = standing(platform).arms.canary
    assert arm is not None
    state = serve_canary(platform.store, arm, weight=0.1, shadow_fraction=1.0, actor="test", now=datetime.now(UTC))
    mark_shadows(platform.store, platform.settings.mlflow_url)
    platform.store.wait_until_served(state, timeout_s=10)
    yield shadowed
    platform.store.change(lambda s: rolled_back(s, actor="test", reason="the night is over", now=datetime.now(UTC)))


def standing(platform: Platform) -> RolloutState:
    state = platform.store.read()
    assert state is not None
    return state


def review_of(platform: Platform, state: RolloutState) -> Review:
    arm = state.arms.canary
    assert arm is not None
    contract = platform.store.contract(arm.contract_digest)
    assert contract is not None
    return next(r for r in reviews(platform.settings.mlflow_url) if r.run_id == contract.mlflow_run_id)


def not_here(text: str) -> bool:
    """Whether it asks a program that this machine does not have."""
    return any(
        f":{Settings.port_defaults()[name]}" in text or name.removesuffix("_port") in text for name in spare_ports()
    )


def run_block(platform: Platform, environment: Environment, text: str) -> "subprocess.CompletedProcess[str]":
    """As somebody runs it whose shell knows of the platform's home and of no other."""
    known = {k: v for k, v in environment.items() if not k.endswith("_HOME") or k == "PLATFORM_HOME"}
    command = ["bash", "-eu", "-o", "pipefail", "-c", on_ports_of(platform.settings, text)]
    return subprocess.run(
        command, cwd=ROOT, env=known, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )


def supervisorctl(platform: Platform, *words: str) -> list[str]:
    return [str(BIN / "supervisorctl"), "-s", f"unix://{platform.settings.home}/supervisor.sock", *words]


def test_a_shadow_is_tagged_on_its_mlflow_run(platform: Platform, shadowed: str) -> None:
    state = standing(platform)
    assert (state.phase, state.canary_weight_bp) == ("shadow", 0)
    review = review_of(platform, state)
    assert review.trial == f"{state.epoch}:{state.generation}"
    assert (review.since, review.ended, review.verdict) == (state.time, "", "")


def test_a_failed_verdict_ends_a_shadow_and_stays_on_its_run(platform: Platform, shadowed: str) -> None:
    run = platform.runs.wait(platform.runs.launch("judge_canary", ops={"canary_verdict": {"roll_back_at_once": True}}))
    check = run.check("canary_is_no_worse")
    assert check is not None, run.failure
    assert not check["success"]
    state = standing(platform)
    assert (state.phase, state.arms.shadow) == ("rolled_back", None)
    assert state.actor == f"dagster:hook:roll_back_at_once:{run.run_id}"
    review = review_of(platform, state)
    assert review.ended == state.time
    assert review.end == f"rolled_back by {state.actor}: {state.reason}"
    assert review.verdict == f"fail: {state.reason}"
    assert review.metrics["shadow_rows"] == run.metadata("canary_verdict")["rows"] > 300
    assert review.metrics["shadow_brier_difference"] > 0
    assert review.metrics["shadow_evidence_fail"] >= 100


def test_a_verdict_shows_how_its_evidence_grew(platform: Platform, shadowed: str) -> None:
    query = """{ assetOrError(assetKey: {path: ["canary_verdict"]}) { ... on Asset { assetMaterializations(limit: 1) {
        metadataEntries { label ... on MarkdownMetadataEntry { mdStr } } } } } }"""
    entries: list[dict[str, Any]] = platform.runs.ask(query, {})["assetOrError"]["assetMaterializations"][0][
        "metadataEntries"
    ]
    assert any(e["label"] == "evidence" and e["mdStr"].startswith("![plot](data:image/png") for e in entries)


@pytest.mark.parametrize("command", commands("run"), ids=lambda command: command.text.splitlines()[0][:50])
def test_a_command_shows_what_the_runbook_says(
    platform: Platform, stack_environment: Environment, incident: str, command: Command
) -> None:
    if not_here(command.text):
        pytest.skip("no prometheus or alertmanager: as root, apt-get install prometheus prometheus-alertmanager")
    platform.predict(REQUEST)  # a gateway that was started anew counts from zero, and a living one has traffic
    done = run_block(platform, stack_environment, command.text)
    assert done.returncode == 0, done.stdout[-3000:]
    assert command.told(done.stdout), f"{command.shows} not in: {done.stdout[-3000:]}"


def test_the_canary_that_was_given_a_share_is_audited(platform: Platform, incident: str) -> None:
    """What the commands of sections 4 and 5 have left behind."""
    state = standing(platform)
    assert (state.phase, state.canary_weight_bp) == ("canary", 500)
    assert state.reason == "CANARY_SPLIT: 0.05 of the keys"
    assert state.actor.startswith("cli:")
    by_dagster = next(s for s in platform.store.history() if s.actor.startswith("dagster:"))
    run = platform.runs.wait(by_dagster.actor.removeprefix("dagster:"))  # known here: not one of a temporary Dagster
    assert run.status == "SUCCESS"
    by_hand = next(s for s in platform.store.history() if s.reason == "INCIDENT" and s.phase == "rolled_back")
    assert by_hand.canary_weight_bp == 0


@pytest.mark.parametrize("line", [line for older in OLDER.values() if older.kind == "run" for line in older.here])
def test_what_an_older_command_has_become_runs(
    platform: Platform, stack_environment: Environment, incident: str, line: str
) -> None:
    if line.startswith("poetry ") and shutil.which("poetry") is None:
        pytest.skip("poetry is not on PATH")
    done = run_block(platform, stack_environment, line)
    assert done.returncode == 0, done.stdout[-3000:]
    assert done.stdout


@pytest.mark.parametrize("path", lines("path"))
def test_an_older_folder_is_there(platform: Platform, incident: str, path: str) -> None:
    assert list((platform.settings.home / path.removeprefix(".local/")).glob("*.html"))


@pytest.mark.parametrize("literal", lines("metric"))
def test_an_older_metric_is_exposed(platform: Platform, incident: str, literal: str) -> None:
    assert literal in httpx.get(f"{platform.settings.gateway_url}/metrics", trust_env=False).text


@pytest.mark.parametrize("address", addresses(RUNBOOK))
def test_an_address_of_the_runbook_answers(platform: Platform, incident: str, address: str) -> None:
    if not_here(address):
        pytest.skip("no prometheus or alertmanager: as root, apt-get install prometheus prometheus-alertmanager")
    answer = httpx.get(on_ports_of(platform.settings, address), trust_env=False, timeout=30, follow_redirects=True)
    assert answer.status_code == 200


def test_the_doctor_names_a_program_that_was_stopped(platform: Platform, incident: str) -> None:
    subprocess.run(supervisorctl(platform, "stop", "front:reports"), cwd=ROOT, check=True, capture_output=True)
    try:
        down = [finding for finding in examine(platform.settings) if finding.state == "down"]
        assert [finding.check for finding in down] == ["reports"]
        assert str(platform.settings.home / "log" / "reports.log") in down[0].says
    finally:
        starting = subprocess.Popen(supervisorctl(platform, "start", "front:reports"), cwd=ROOT)
        wait_until(lambda: not any(f.state == "down" for f in examine(platform.settings)), timeout_s=20)
        starting.terminate()
        starting.wait()
