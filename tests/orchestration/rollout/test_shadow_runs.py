"""When models shadowed, read from the audit; and their review on the MLflow runs of a real server."""

import json
import math
import traceback
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from orchestration.rollout import shadow_review
from orchestration.rollout.act import roll_back, serve_baseline, serve_canary
from orchestration.rollout.shadow_runs import ShadowReviewError, client, latest_spells, log_verdict, mark_shadows
from orchestration.rollout.trial import Trial
from orchestration.rollout.verdict import CriterionResult, Outcome, Verdict
from serving_gateway.contracts import Arm
from serving_gateway.contracts.rollout import RolloutState
from serving_gateway.control.store import RolloutStore
from serving_gateway.control.transitions import first_state, rolled_back, set_baseline, set_weight, start_canary
from tests.orchestration.foreign_server import foreign_server
from tests.servers import MlflowServer, free_port
from tests.serving_gateway.support import CONTRACT

BEGAN = datetime(2026, 1, 1, tzinfo=UTC)


def of_loss(outcome: Outcome, reason: str, *figures: float) -> Verdict:
    """A verdict by the loss alone; `figures`: rows, difference, e_fail, e_pass."""
    rows = int(figures[0]) if figures else 0
    return Verdict(outcome, reason, (CriterionResult("loss", outcome, reason, rows, *figures[1:]),))


FAILED = of_loss("fail", "worse on 300 rows", 300, 0.02, 150.0, 0.1)


def named(version: int) -> Arm:
    return Arm(model="m", version=str(version), triton_model=f"m_v{version}", contract_digest=str(version))


def by(minute: int, reason: str = "because") -> dict[str, Any]:
    return {"actor": "test", "reason": reason, "now": BEGAN + timedelta(minutes=minute)}


def history(*states: RolloutState) -> list[RolloutState]:
    return list(reversed(states))


FIRST = first_state(named(1), **by(0))
SHADOW = start_canary(FIRST, named(2), weight_bp=0, shadow_fraction=1.0, **by(1))
RAISED = set_weight(SHADOW, 1000, **by(2))
ENDED = rolled_back(RAISED, **by(3, "it was worse"))


def test_a_model_that_shadows_has_no_end_yet() -> None:
    (spell,) = latest_spells(history(FIRST, SHADOW))
    assert spell.tags == {
        "shadow": "true",
        "shadow_since": "2026-01-01T00:01:00+00:00",
        "shadow_trial": "1:2",
        "shadow_ended": None,
        "shadow_end": None,
    }


def test_a_change_of_weight_goes_on_with_the_shadow_in_the_same_trial() -> None:
    (spell,) = latest_spells(history(FIRST, SHADOW, RAISED))
    assert (spell.since, spell.trial) == ("2026-01-01T00:01:00+00:00", (1, 2))


def test_the_end_says_when_how_by_whom_and_why() -> None:
    (spell,) = latest_spells(history(FIRST, SHADOW, RAISED, ENDED))
    assert spell.tags["shadow_ended"] == "2026-01-01T00:03:00+00:00"
    assert spell.tags["shadow_end"] == "rolled_back by test: it was worse"
    (promoted,) = latest_spells(history(FIRST, SHADOW, set_baseline(SHADOW, named(2), **by(9, "promoted"))))
    assert promoted.tags["shadow_end"] == "stable by test: promoted"


def test_a_shadow_that_another_replaces_has_ended_and_a_second_time_counts_anew() -> None:
    other = start_canary(SHADOW, named(3), weight_bp=0, shadow_fraction=1.0, **by(4))
    replaced, current = latest_spells(history(FIRST, SHADOW, other))
    assert (replaced.arm, replaced.ended) == (named(2), other)
    assert (current.arm, current.ended) == (named(3), None)
    again = start_canary(ENDED, named(2), weight_bp=0, shadow_fraction=1.0, **by(5))
    (spell,) = latest_spells(history(FIRST, SHADOW, RAISED, ENDED, again))
    assert (spell.since, spell.ended) == ("2026-01-01T00:05:00+00:00", None)


def test_a_canary_that_does_not_shadow_has_no_review() -> None:
    alone = start_canary(FIRST, named(2), weight_bp=1000, shadow_fraction=0, **by(1))
    assert latest_spells(history(FIRST, alone)) == []


class Scene:
    """A store, an MLflow server, and the run that trained `challenger`."""

    def __init__(self, redis_url: str, mlflow_url: str) -> None:
        from mlflow import MlflowClient

        self.store = RolloutStore.connect(redis_url)
        self.url = mlflow_url
        self.mlflow = MlflowClient(tracking_uri=mlflow_url)
        self.run_id = self.mlflow.create_run("0").info.run_id
        self.mlflow.set_terminated(self.run_id)  # a training run has ended long before its model shadows
        serve_baseline(self.store, self.arm(1, ""), actor="test", now=BEGAN)

    def arm(self, version: int, run_id: str) -> Arm:
        contract = msgspec.structs.replace(CONTRACT, version=str(version), mlflow_run_id=run_id)
        digest = self.store.put_contract(contract)
        return Arm(model="m", version=str(version), triton_model=f"m_v{version}", contract_digest=digest)

    def shadow(self) -> Trial:
        state = serve_canary(
            self.store, self.arm(2, self.run_id), weight=0, shadow_fraction=1.0, actor="test", now=BEGAN
        )
        trial = Trial.of(state)
        assert trial is not None
        return trial

    def review(self) -> shadow_review.Review:
        return next(r for r in shadow_review.reviews(self.url, limit=1000) if r.run_id == self.run_id)

    def tags(self) -> dict[str, str]:
        tags = self.mlflow.get_run(self.run_id).data.tags
        return {name: value for name, value in tags.items() if name.startswith("shadow")}

    def metrics(self) -> dict[str, float]:
        return dict(self.mlflow.get_run(self.run_id).data.metrics)


@pytest.fixture
def scene(redis_url: str, mlflow_tracking: MlflowServer) -> Scene:
    return Scene(redis_url, mlflow_tracking.url)


@pytest.mark.integration
def test_the_run_is_tagged_while_it_shadows_and_after(scene: Scene) -> None:
    trial = scene.shadow()
    assert mark_shadows(scene.store, scene.url) == [scene.run_id]
    assert scene.tags() == {"shadow": "true", "shadow_since": BEGAN.isoformat(), "shadow_trial": "1:2"}
    assert mark_shadows(scene.store, scene.url) == []
    roll_back(scene.store, trial, reason="worse", actor="cli:me")
    mark_shadows(scene.store, scene.url)
    ended = scene.tags()
    assert ended["shadow"] == "true"
    assert ended["shadow_end"] == "rolled_back by cli:me: worse"
    scene.shadow()
    mark_shadows(scene.store, scene.url)
    assert set(scene.tags()) == {"shadow", "shadow_since", "shadow_trial"}


@pytest.mark.integration
def test_what_mlflow_missed_is_made_up_for(scene: Scene) -> None:
    """It was away for the whole of the shadow's life."""
    trial = scene.shadow()
    away = f"http://127.0.0.1:{free_port()}"
    with pytest.raises(ShadowReviewError, match=r"MLflow at http://127\.0\.0\.1:\d+ does not answer"):
        mark_shadows(scene.store, away)
    state = scene.store.read()
    assert Trial.of(state) == trial, "the shadow stands all the same"
    roll_back(scene.store, trial, reason="worse", actor="cli:me")
    mark_shadows(scene.store, scene.url)
    assert {"shadow", "shadow_since", "shadow_ended"} <= set(scene.tags())


@pytest.mark.integration
def test_a_verdict_leaves_its_figures_and_its_sentence(scene: Scene) -> None:
    trial = scene.shadow()
    log_verdict(scene.store, scene.url, trial, of_loss("inconclusive", "no rows yet"))
    metrics = scene.metrics()
    assert metrics["shadow_rows"] == 0
    assert math.isnan(metrics["shadow_brier_difference"])
    log_verdict(scene.store, scene.url, trial, FAILED)
    assert scene.metrics() == {
        "shadow_rows": 300,
        "shadow_brier_difference": 0.02,
        "shadow_evidence_fail": 150,
        "shadow_evidence_pass": 0.1,
    }
    assert scene.tags()["shadow_verdict"] == "fail: worse on 300 rows"
    assert scene.tags()["shadow_tests"] == "loss: fail"


@pytest.mark.integration
def test_a_verdict_on_a_model_that_never_shadowed_is_written_nowhere(scene: Scene) -> None:
    scene.shadow()
    log_verdict(scene.store, scene.url, Trial("m_v7", 1, 2), FAILED)
    assert scene.metrics() == {}


@pytest.mark.integration
def test_a_second_trial_is_reviewed_by_its_own_figures(scene: Scene) -> None:
    """It has fewer rows than the first had."""
    trial = scene.shadow()
    mark_shadows(scene.store, scene.url)
    log_verdict(scene.store, scene.url, trial, FAILED)
    roll_back(scene.store, trial, reason="worse", actor="cli:me")
    mark_shadows(scene.store, scene.url)
    assert scene.review().verdict == "fail: worse on 300 rows", "the end of a trial keeps what was found of it"
    second = scene.shadow()
    mark_shadows(scene.store, scene.url)
    assert (scene.review().verdict, scene.review().metrics) == ("", {})
    assert "shadow_tests" not in scene.tags()
    log_verdict(scene.store, scene.url, second, of_loss("inconclusive", "no rows yet"))
    assert scene.review().metrics == {"shadow_rows": 0, "shadow_evidence_fail": 1, "shadow_evidence_pass": 1}
    log_verdict(scene.store, scene.url, second, of_loss("inconclusive", "too few", 40, -0.01, 2.0, 3.0))
    assert scene.review().metrics == {
        "shadow_rows": 40,
        "shadow_brier_difference": -0.01,
        "shadow_evidence_fail": 2,
        "shadow_evidence_pass": 3,
    }


@pytest.mark.integration
def test_a_canary_that_no_longer_shadows_leaves_the_review_alone(scene: Scene) -> None:
    trial = scene.shadow()
    mark_shadows(scene.store, scene.url)
    log_verdict(scene.store, scene.url, trial, FAILED)
    roll_back(scene.store, trial, reason="worse", actor="cli:me")
    arm = scene.arm(2, scene.run_id)
    alone = Trial.of(serve_canary(scene.store, arm, weight=0.1, shadow_fraction=0, actor="test", now=BEGAN))
    assert alone is not None
    mark_shadows(scene.store, scene.url)
    log_verdict(scene.store, scene.url, alone, of_loss("inconclusive", "no rows yet"))
    assert scene.tags()["shadow_verdict"] == "fail: worse on 300 rows"
    assert scene.metrics()["shadow_rows"] == 300


def test_a_password_in_mlflows_address_is_shown_nowhere(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://me:s3@cret@127.0.0.1:{free_port()}")
    assert shadow_review.main([]) == 1
    told = capsys.readouterr().err
    assert "MLflow at http://127.0.0.1:" in told
    assert "s3" not in told
    assert "cret" not in told


def test_what_answers_on_mlflows_port_must_be_well() -> None:
    with (
        foreign_server(404, {"detail": "Not Found"}) as port,
        pytest.raises(ShadowReviewError, match="404") as refused,
        client(f"http://me:s3cret@127.0.0.1:{port}"),
    ):
        pass
    assert "s3cret" not in "".join(traceback.format_exception(refused.value))


@pytest.mark.integration
def test_a_run_that_was_deleted_for_good_keeps_nobody_from_being_tagged(scene: Scene) -> None:
    serve_canary(
        scene.store, scene.arm(3, "0" * 32), weight=0, shadow_fraction=1.0, actor="test", now=BEGAN
    )  # of a run that is not there
    scene.shadow()
    assert mark_shadows(scene.store, scene.url) == [scene.run_id]


@pytest.mark.integration
def test_a_run_that_mlflow_will_not_change_is_named(scene: Scene) -> None:
    scene.shadow()
    scene.mlflow.delete_run(scene.run_id)
    with pytest.raises(ShadowReviewError, match="deleted"):
        mark_shadows(scene.store, scene.url)


@pytest.mark.integration
def test_the_command_lists_the_latest_shadow_first(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", scene.url)
    trial = scene.shadow()
    mark_shadows(scene.store, scene.url)
    log_verdict(scene.store, scene.url, trial, FAILED)
    assert shadow_review.main(["--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [r["since"] for r in found] == sorted((r["since"] for r in found), reverse=True)
    mine = next(r for r in found if r["run_id"] == scene.run_id)
    assert mine["verdict"] == "fail: worse on 300 rows"
    assert mine["metrics"]["shadow_rows"] == 300
    assert not math.isnan(mine["metrics"]["shadow_brier_difference"])
    monkeypatch.setenv("COLUMNS", "200")
    assert shadow_review.main([]) == 0
    shown = capsys.readouterr().out
    for part in ("it shadows now", "+0.0200", "150 : 0.1", "worse on 300 rows"):
        assert part in shown


@pytest.mark.integration
def test_the_command_without_mlflow_is_one_clear_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{free_port()}")
    assert shadow_review.main([]) == 1
    told = capsys.readouterr().err
    assert told.startswith("shadow_review: MLflow at http://127.0.0.1:")
    assert told.count("\n") == 1
