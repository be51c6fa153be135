"""Taking a bad canary's traffic away, each way, against the real processes.

The gateway's reflex is off in this stack, and the storm's challenger answers quickly, finitely and in range: only
evidence can convict it.
"""

import subprocess
import sys
import time
from datetime import datetime, timedelta

import pytest

from orchestration.demo.conviction import SENSOR
from orchestration.demo.dagster_runs import Run, entries
from serving_gateway.contracts.rollout import RolloutState
from tests.e2e.conftest import CALM_DAY, DAY, Platform
from tests.servers import ROOT

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]
DAY_WITH_CANARY = CALM_DAY + DAY


def gather_evidence(platform: Platform) -> str:
    """A new canary that knows nothing but a storm, and a day of traffic on it; returns its Triton model."""
    canary = platform.start_canary()
    platform.rewind(DAY_WITH_CANARY)
    tally = platform.replay().run(platform.minutes(DAY_WITH_CANARY))
    assert not tally.errors
    assert 0.03 < tally.by_arm["canary"] / tally.requests < 0.2
    return canary


def judge(platform: Platform, *, at_once: bool) -> tuple[Run, float]:
    """Run the verdict job; returns it and the UNIX time at which its check failed."""
    run = platform.runs.wait(
        platform.runs.launch("judge_canary", ops={"canary_verdict": {"roll_back_at_once": at_once}})
    )
    check = run.check("canary_is_no_worse")
    assert check is not None, run.failure
    assert not check["success"], entries(check["metadataEntries"])
    return run, check["timestamp"]


def standing(platform: Platform) -> RolloutState:
    state = platform.store.read()
    assert state is not None
    return state


def wait_for(condition: object, timeout_s: float) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < deadline, "not within the time"
        time.sleep(0.05)


def seconds_after(failed_at: float, state: RolloutState) -> float:
    return datetime.fromisoformat(state.time).timestamp() - failed_at


def test_a_failed_check_makes_a_sensors_run_take_the_traffic_to_zero(platform: Platform) -> None:
    canary = gather_evidence(platform)
    launched = time.time()
    _, failed_at = judge(platform, at_once=False)
    wait_for(lambda: standing(platform).canary_weight_bp == 0, 30)
    state = standing(platform)
    acknowledged = platform.store.wait_until_served(state, timeout_s=5)
    assert [a.canary_weight_bp for a in acknowledged] == [0]
    assert seconds_after(failed_at, state) <= 20

    run_id = platform.runs.launched_by_sensor("rollback", SENSOR, after=launched - 1)
    assert run_id is not None
    assert state.actor == f"dagster:sensor:{SENSOR}:{run_id}"
    assert state.phase == "rolled_back"
    assert platform.store.history(1)[0] == state
    made = platform.runs.wait(run_id).metadata("rollback")
    assert made["canary"] == canary
    answer = platform.replay().run(platform.minutes(DAY_WITH_CANARY)[-60:])
    assert set(answer.by_arm) <= {"baseline"}


@pytest.mark.full
def test_with_the_hook_on_the_detecting_run_takes_the_traffic_itself(platform: Platform) -> None:
    gather_evidence(platform)
    run, failed_at = judge(platform, at_once=True)
    state = standing(platform)
    assert state.canary_weight_bp == 0
    assert state.actor == f"dagster:hook:roll_back_at_once:{run.run_id}"
    assert seconds_after(failed_at, state) <= 2
    assert platform.store.wait_until_served(state, timeout_s=2)

    # the sensor looks again, finds it done, and requests nothing
    looked = time.time()
    wait_for(lambda: platform.last_tick(SENSOR) > looked, 60)
    assert platform.runs.launched_by_sensor("rollback", SENSOR, after=failed_at - 1) is None
    assert standing(platform) == state


def rollback_command(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "serving_gateway.rollback", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def test_the_command_rolls_back_only_when_confirmed_and_says_how_long_it_took(platform: Platform) -> None:
    platform.start_canary()
    before = standing(platform)
    told = rollback_command()
    assert told.returncode == 0, told.stderr
    assert "--confirm" in told.stdout
    assert standing(platform) == before

    done = rollback_command("--confirm", "--reason", "looks wrong to me")
    assert done.returncode == 0, done.stdout + done.stderr
    state = standing(platform)
    assert (state.canary_weight_bp, state.phase) == (0, "rolled_back")
    assert state.reason == "looks wrong to me"
    assert state.actor.startswith("cli:")
    assert all(a.position >= state.position for a in platform.store.acknowledgements())
    again = rollback_command("--confirm")
    assert again.returncode == 0
    assert standing(platform) == state


@pytest.mark.full
def test_an_innocent_canary_is_not_convicted(platform: Platform) -> None:
    """The champion against a challenger that has learnt from all but two of the same days."""
    from tests.e2e.conftest import HOLDOUT, TRAIN, training_config

    fewer = (TRAIN[0], TRAIN[1] - 2 * DAY)
    ops = {
        "challenger_model": training_config(fewer, HOLDOUT, "lightgbm"),
        "canary_arm": {"weight": 0.1, "shadow_fraction": 1.0},
    }
    platform.succeed("try_challenger", ops=ops)
    assert platform.store.wait_until_served(standing(platform), timeout_s=10)
    platform.rewind(DAY_WITH_CANARY)
    platform.replay().run(platform.minutes(DAY_WITH_CANARY))
    run = platform.succeed("judge_canary", ops={"canary_verdict": {"roll_back_at_once": True}})
    made = run.metadata("canary_verdict")
    assert made["outcome"] in {"inconclusive", "pass"}
    assert made["rows"] > 300
    assert made["evidence that it is worse"] != 1.0, "the two models must differ"
    assert standing(platform).canary_weight_bp == 1000


@pytest.mark.full
def test_no_evidence_rolls_nobody_back(platform: Platform) -> None:
    """A canary without traffic has an inconclusive verdict: absence of data neither promotes nor convicts."""
    platform.start_canary()
    platform.store.advance_clock(datetime.fromisoformat("2013-12-01T00:00:00+00:00") + timedelta(days=1))
    made = platform.succeed("judge_canary").metadata("canary_verdict")
    assert made["outcome"] == "inconclusive"
    assert standing(platform).canary_weight_bp == 1000
