"""A trial judged from the lake: all of its rows, in an order that no label decides."""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from orchestration.ingestion.partitions import partition_path
from orchestration.ingestion.predictions import PAIRED_SCHEMA, PREDICTION_SCHEMA
from orchestration.rollout.judgement import trial_evidence
from orchestration.rollout.policy import shipped_policy
from orchestration.rollout.rescore import RescoreError
from orchestration.rollout.trial import Trial
from orchestration.rollout.verdict import Verdict, judge
from serving_gateway.contracts.rollout import Arm, Arms, RolloutState

NOON = datetime(2013, 5, 1, 12, tzinfo=UTC)
TRIAL = Trial("m_v2", 1, 3)


def arm(version: int) -> Arm:
    return Arm(model="m", version=str(version), triton_model=f"m_v{version}", contract_digest="d")


def registered(vectors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The vector of a row is what the two registered models say of it."""
    return vectors[:, 0].astype(float), vectors[:, 1].astype(float)


def judge_trial(lake: Path, trial: Trial, **known: Any) -> Verdict:
    return judge(trial_evidence(lake, trial, **known), shipped_policy().evidence)


def verdict_on(lake: Path, now: datetime, trial: Trial = TRIAL) -> Verdict:
    return judge_trial(lake, trial, baseline="m_v1", now=now, registered=registered)


def write_day(
    lake: Path,
    day: date,
    rng: np.random.Generator,
    *,
    trial: Trial,
    worse: float,
    rows: int = 300,
    routing: str = "split",
) -> None:
    """A day of rows that the baseline answered and the canary shadowed; `worse` is added to the canary's logit."""
    asked = [datetime(day.year, day.month, day.day, 1, tzinfo=UTC) + timedelta(minutes=i) for i in range(rows)]
    names = [f"{day}-{trial.generation}-{i:04}" for i in range(rows)]
    truth = rng.beta(1.2, 3.6, rows)
    logit = np.log(truth / (1 - truth))
    score = {m: 1 / (1 + np.exp(-(logit + rng.normal(0, 0.5, rows) + d))) for m, d in (("m_v1", 0.0), ("m_v2", worse))}
    common = {"prediction_id": names, "event_time": asked}
    predictions = pl.DataFrame(
        common
        | {
            "request_id": names,
            "triton_model": "m_v1",
            "arm": "baseline",
            "served_at": asked,
            "outcome": "ok",
            "charged": True,
            "vector": [list(pair) for pair in zip(score["m_v1"], score["m_v2"], strict=True)],
            "epoch": trial.epoch,
            "generation": trial.generation,
            "score": score["m_v1"],
            "routing": [routing] * rows,
        }
    )
    paired = pl.DataFrame(
        common | {"arm": "shadow", "triton_model": "m_v2", "outcome": "ok", "charged": True, "score": score["m_v2"]}
    )
    outcomes = pl.DataFrame(
        {
            "request_id": names,
            "label": (rng.random(rows) < truth).astype(np.int8),
            "sched_dep": [a + timedelta(hours=1) for a in asked],
        }
    )
    for name, frame, schema in (("predictions", predictions, PREDICTION_SCHEMA), ("paired", paired, PAIRED_SCHEMA)):
        folder = lake / name / f"day={day}"
        folder.mkdir(parents=True, exist_ok=True)
        missing = [pl.lit(None, dtype).alias(c) for c, dtype in schema.items() if c not in frame.columns]
        frame.with_columns(missing).select(list(schema)).cast(dict(schema)).write_parquet(
            folder / f"{trial.generation}.parquet"
        )
    path = partition_path(lake / "training", day)
    path.parent.mkdir(parents=True, exist_ok=True)
    known = [pl.read_parquet(path, hive_partitioning=False)] if path.exists() else []
    pl.concat([*known, outcomes.cast({"sched_dep": pl.Datetime("us", "UTC")})]).write_parquet(path)


@pytest.mark.parametrize(("worse", "outcomes"), [(1.5, {"fail"}), (0.0, {"pass", "inconclusive"})])
def test_a_trial_is_judged_on_what_was_logged(tmp_path: Path, worse: float, outcomes: set[str]) -> None:
    write_day(tmp_path, NOON.date(), np.random.default_rng(1), trial=TRIAL, worse=worse)
    verdict = verdict_on(tmp_path, NOON + timedelta(days=1))
    assert verdict.outcome in outcomes
    assert verdict.criterion("loss").rows == 300


def test_rows_of_another_generation_do_not_count(tmp_path: Path) -> None:
    write_day(tmp_path, NOON.date(), np.random.default_rng(1), trial=Trial("m_v2", 1, 2), worse=1.5)
    verdict = verdict_on(tmp_path, NOON + timedelta(days=1))
    assert (verdict.outcome, verdict.criterion("loss").rows) == ("inconclusive", 0)


def test_rows_whose_caller_chose_the_arm_are_no_evidence(tmp_path: Path) -> None:
    """Else whoever repeats one request to one arm, knowing its answer, would decide the trial."""
    rng, now = np.random.default_rng(1), NOON + timedelta(days=2)
    write_day(tmp_path, NOON.date(), rng, trial=TRIAL, worse=1.5, routing="forced")
    verdict = verdict_on(tmp_path, now)
    assert (verdict.outcome, verdict.criterion("loss").rows) == ("inconclusive", 0)
    write_day(tmp_path, NOON.date() + timedelta(days=1), rng, trial=TRIAL, worse=0.0, rows=100)
    assert verdict_on(tmp_path, now).criterion("loss").rows == 100


def test_rows_count_only_when_either_label_would_be_known(tmp_path: Path) -> None:
    write_day(tmp_path, NOON.date(), np.random.default_rng(1), trial=TRIAL, worse=0.0)
    # asked at 01:00, 01:01, ...; a row matures 75 minutes later
    now = datetime(2013, 5, 1, 2, 24, 59, tzinfo=UTC)
    assert verdict_on(tmp_path, now).criterion("loss").rows == 10


def test_an_innocent_canary_judged_every_day_is_failed_no_more_often_than_the_policy_says(tmp_path: Path) -> None:
    """The whole trial counts at each look: a window that moved would begin the test anew every day."""
    failed = 0
    for run in range(40):
        rng, lake = np.random.default_rng(run), tmp_path / str(run)
        outcomes = []
        for day in range(4):
            write_day(lake, NOON.date() + timedelta(days=day), rng, trial=TRIAL, worse=0.0, rows=400)
            now = NOON + timedelta(days=day + 1)
            outcomes.append(verdict_on(lake, now))
        assert [v.criterion("loss").rows for v in outcomes] == [400, 800, 1200, 1600]
        failed += any(v.outcome == "fail" for v in outcomes)
    assert failed / 40 <= shipped_policy().evidence.alpha_of("loss") + 0.04


def test_a_trial_is_judged_over_all_its_shares_and_over_a_restart_of_the_store(tmp_path: Path) -> None:
    """Each change of the share is a new generation, a store that lost its state a new epoch; the trial began before."""
    rng = np.random.default_rng(1)
    for day, (epoch, generation) in enumerate([(1, 3), (1, 4), (1, 9), (2, 1)]):
        moved = Trial("m_v2", epoch, generation)
        write_day(tmp_path, NOON.date() + timedelta(days=day), rng, trial=moved, worse=0.0, rows=50)
    assert verdict_on(tmp_path, NOON + timedelta(days=5)).criterion("loss").rows == 200


def test_a_second_trial_of_the_same_model_begins_without_the_first_ones_evidence(tmp_path: Path) -> None:
    rng, now = np.random.default_rng(1), NOON + timedelta(days=5)
    write_day(tmp_path, NOON.date(), rng, trial=TRIAL, worse=1.5)
    assert verdict_on(tmp_path, now).outcome == "fail"
    second = Trial("m_v2", 1, 7)
    write_day(tmp_path, NOON.date() + timedelta(days=1), rng, trial=second, worse=0.0, rows=50)
    found = verdict_on(tmp_path, now, second)
    assert (found.outcome, found.criterion("loss").rows) == ("inconclusive", 50)


def test_what_lands_late_takes_its_place(tmp_path: Path) -> None:
    """Two gateways; the log of one is shipped a day later. The verdict is as if it had been there."""
    rng, day, now = np.random.default_rng(1), NOON.date(), NOON + timedelta(days=2)
    write_day(tmp_path, day + timedelta(days=1), rng, trial=Trial("m_v2", 1, 4), worse=0.0, rows=100)
    before = verdict_on(tmp_path, now)
    write_day(tmp_path, day, rng, trial=TRIAL, worse=0.0, rows=100)
    after = trial_evidence(tmp_path, TRIAL, baseline="m_v1", now=now, registered=registered)
    assert before.criterion("loss").rows == 100
    assert len(after.loss) == 200
    alone = trial_evidence(tmp_path, Trial("m_v2", 1, 4), baseline="m_v1", now=now, registered=registered)
    assert after.loss[100:] == pytest.approx(alone.loss), "the day before comes first"


def test_without_the_registered_models_the_shift_of_the_scores_is_not_judged_and_says_why(tmp_path: Path) -> None:
    def away(_vectors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        raise RescoreError("MLflow does not answer")

    write_day(tmp_path, NOON.date(), np.random.default_rng(1), trial=TRIAL, worse=0.0)
    now = NOON + timedelta(days=1)
    shift = judge_trial(tmp_path, TRIAL, baseline="m_v1", now=now, registered=away).criterion("score_shift")
    assert (shift.outcome, shift.rows) == ("inconclusive", 0)
    assert shift.reason == "the registered models cannot be asked: MLflow does not answer"
    assert verdict_on(tmp_path, now).criterion("score_shift").rows == 300


def test_a_canary_that_serves_another_model_than_is_registered_is_convicted_without_a_label(tmp_path: Path) -> None:
    def other(vectors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        baseline, canary = registered(vectors)
        return baseline, canary / 2

    write_day(tmp_path, NOON.date(), np.random.default_rng(1), trial=TRIAL, worse=0.0)
    before_any_label = datetime(2013, 5, 1, 1, tzinfo=UTC)
    found = judge_trial(tmp_path, TRIAL, baseline="m_v1", now=before_any_label, registered=other)
    assert found.outcome == "fail"
    assert found.criterion("loss").rows == 0
    assert "higher than its model explains" in found.reason


def test_before_anything_landed_every_test_says_so(tmp_path: Path) -> None:
    found = verdict_on(tmp_path, NOON)
    assert {result.reason for result in found.criteria} == {"no prediction of this trial has landed yet"}


def test_a_model_that_only_shadows_is_on_trial_too() -> None:
    state = RolloutState(
        epoch=1,
        generation=3,
        phase="shadow",
        arms=Arms(baseline=arm(1), canary=arm(2), shadow=arm(2)),
        shadow_fraction=1,
    )
    assert Trial.of(state) == TRIAL


def test_a_trial_is_a_canary_until_it_is_rolled_back() -> None:
    state = RolloutState(
        epoch=1, generation=3, phase="canary", arms=Arms(baseline=arm(1), canary=arm(2)), canary_weight_bp=1000
    )
    assert Trial.of(state) == TRIAL
    assert Trial.of(None) is None
    waiting = RolloutState(epoch=1, generation=3, phase="canary", arms=Arms(baseline=arm(1), canary=arm(2)))
    assert Trial.of(waiting) == TRIAL, "the next share is one change away"
    idle = RolloutState(epoch=1, generation=3, phase="rolled_back", arms=Arms(baseline=arm(1), canary=arm(2)))
    assert Trial.of(idle) is None
