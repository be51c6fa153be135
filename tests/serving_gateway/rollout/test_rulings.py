"""Hold, release and approve, over HTTP and from the shell, against a real gateway and a real Redis."""

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from serving_gateway import trial
from serving_gateway.contracts.rollout import RolloutState, TrialMark
from serving_gateway.control.changes import Word, rule
from serving_gateway.control.steps import begin_trial, enter_step
from serving_gateway.control.store import RolloutStore, StaleGenerationError
from serving_gateway.control.transitions import set_baseline, set_weight
from tests.servers import ROOT, free_port, redis_server
from tests.serving_gateway.support import (
    CONTRACT,
    NOW,
    TWO,
    GatewayProcess,
    arm_of,
    gateway_process,
    publish_state,
    state_of,
    wait_for,
)

pytestmark = pytest.mark.integration
ADMIN = {"authorization": "Bearer t0ken"}
BY = {"actor": "test", "reason": "test", "now": NOW}


@dataclass
class Led:
    """A gateway whose rollout has a trial at step 0, and its store."""

    gateway: GatewayProcess
    store: RolloutStore

    def post(self, ruling: str, **document: object) -> httpx.Response:
        return self.gateway.client.post(f"/rollout/{ruling}", json=document, headers=ADMIN)

    @property
    def state(self) -> RolloutState:
        state = self.store.read()
        assert state is not None
        return state

    @property
    def mark(self) -> TrialMark:
        assert self.state.trial is not None
        return self.state.trial


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[GatewayProcess, RolloutStore, str]]:
    home = tmp_path_factory.mktemp("rulings")
    with redis_server(home / "redis") as server:
        store = publish_state(server.url, state_of(CONTRACT), CONTRACT, TWO)
        with gateway_process(home, server.url, ADMIN_TOKEN="t0ken") as gateway:
            yield gateway, store, server.url


@pytest.fixture
def led(running: tuple[GatewayProcess, RolloutStore, str], monkeypatch: pytest.MonkeyPatch) -> Led:
    gateway, store, url = running
    monkeypatch.setenv("REDIS_URL", url)
    store.change(lambda s: set_baseline(s, arm_of(CONTRACT), **BY))
    shares = {"weight_bp": 0, "shadow_fraction": 1.0, "event_time": NOW}
    state = store.change(lambda s: begin_trial(s, arm_of(TWO), **shares, **BY))  # type: ignore[arg-type]
    wait_for(lambda: gateway.health()["generation"] == state.generation)
    return Led(gateway, store)


def test_what_is_said_stands_and_is_served_when_it_is_answered(led: Led) -> None:
    begun = led.state
    for ruling, field in (("hold", "held"), ("approve", "approved")):
        answer = led.post(ruling, reason="let me look")
        assert (answer.status_code, answer.json()["changed"]) == (200, True)
        assert getattr(led.mark, field) == "admin: let me look"
        again = led.post(ruling, reason="once more")
        assert (again.status_code, again.json()["changed"]) == (200, False)
    assert led.gateway.client.get("/status").json()["state"]["trial"]["held"] == "admin: let me look"
    assert led.post("release", reason="looked").json()["changed"] is True
    assert (led.mark.held, led.mark.step, led.mark.generation) == ("", 0, begun.generation)
    assert (led.state.phase, led.state.arms) == (begun.phase, begun.arms)


def test_a_word_on_another_state_changes_nothing(led: Led) -> None:
    seen = led.state
    moved = {"weight_bp": 500, "shadow_fraction": 1.0, "event_time": NOW, "evidence": "e"}
    stands = led.store.change(lambda s: enter_step(s, 1, **moved, **BY))  # type: ignore[arg-type]
    answer = led.post("approve", reason="go", epoch=seen.epoch, generation=seen.generation)
    assert answer.status_code == 409
    assert "the rollout changed meanwhile" in answer.json()["error"]["message"]
    assert answer.json()["state"]["generation"] == stands.generation
    with pytest.raises(StaleGenerationError):
        rule(led.store, "hold", Word(reason="r", generation=seen.generation), actor="a", now=NOW)
    assert led.state == stands


@pytest.mark.parametrize("ruling", ["hold", "release", "approve"])
def test_without_a_trial_that_steps_lead_it_is_refused_with_what_stands(ruling: str, led: Led) -> None:
    stands = led.store.change(lambda s: set_weight(s, 100, **BY))
    answer = led.post(ruling, reason="r")
    assert (answer.status_code, answer.json()["state"]["generation"]) == (409, stands.generation)
    assert "delay_v2 is led by hand" in answer.json()["error"]["message"]


@pytest.mark.parametrize("ruling", ["hold", "release", "approve"])
def test_without_token_or_reason_nothing_is_said(ruling: str, led: Led) -> None:
    before = led.state
    assert led.gateway.client.post(f"/rollout/{ruling}", json={"reason": "r"}).status_code == 401
    answer = led.post(ruling, reason=" ")
    assert (answer.status_code, answer.json()["error"]["path"]) == (400, "$.reason")
    assert led.state == before


def test_the_shell_says_the_same(led: Led, capsys: pytest.CaptureFixture[str]) -> None:
    assert trial.main(["status"]) == 0
    told = capsys.readouterr().out
    assert "on trial      delay_v2 beside delay_v1" in told
    assert "step          0, since 2026-01-01T00:00:00 (event time)" in told
    assert trial.main(["hold", "--reason", "lunch"]) == 0
    assert led.mark.held.startswith("cli:")
    assert f"held          {led.mark.held}" in capsys.readouterr().out
    assert trial.main(["hold", "--reason", "again"]) == 0
    assert "nothing changed" in capsys.readouterr().out
    assert trial.main(["release", "--reason", "back"]) == 0
    assert trial.main(["approve", "--reason", "go"]) == 0
    assert (led.mark.held, led.mark.approved[-4:]) == ("", ": go")
    assert trial.main(["abort", "--reason", "enough"]) == 0
    assert (led.state.phase, led.state.reason, led.state.actor[:4]) == ("rolled_back", "enough", "cli:")
    capsys.readouterr()
    assert trial.main(["status"]) == 0
    assert "no model is on trial, delay_v1 answers everything" in capsys.readouterr().out
    assert trial.main(["approve", "--reason", "late"]) == 1
    assert "trial: no model is on trial" in capsys.readouterr().err


def test_led_by_hand_is_said(led: Led, capsys: pytest.CaptureFixture[str]) -> None:
    led.store.change(lambda s: set_weight(s, 100, **BY))
    assert trial.main(["status"]) == 0
    assert "led by hand" in capsys.readouterr().out


def test_a_redis_that_is_away_and_one_that_is_empty_are_said(
    led: Led, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], redis_url: str
) -> None:
    monkeypatch.setenv("REDIS_URL", f"redis://:secret@127.0.0.1:{free_port()}/0")
    assert trial.main(["hold", "--reason", "r"]) == 1
    told = capsys.readouterr().err
    assert "cannot be reached (REDIS_URL, REDIS_PORT)" in told
    assert "secret" not in told
    monkeypatch.setenv("REDIS_URL", redis_url)
    assert trial.main(["status"]) == 1
    assert "nothing is served yet" in capsys.readouterr().err


@pytest.mark.parametrize("words", [[], ["hold"], ["hold", "--reason", " "], ["promote", "--reason", "r"]])
def test_words_that_are_none_are_refused(words: list[str], tmp_path: Path) -> None:
    command = [sys.executable, "-m", "serving_gateway.trial", *words]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 2
    assert "usage: python -m serving_gateway.trial" in done.stderr
