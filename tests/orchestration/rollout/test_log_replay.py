"""A window of the log scored again: which rows, how far apart, how good, and whether what served is what is registered."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import numpy as np
import polars as pl
import pytest

from orchestration.rollout.policy import shipped_policy
from orchestration.rollout.replay_report import ReplayReport, replay_report
from orchestration.rollout.replay_table import conclusions, headline
from orchestration.rollout.replayed import NothingToReplayError, ReplayedLog, replayed
from orchestration.settings import Settings
from serving_gateway.contracts import ModelContract
from tests.orchestration.rollout.logs import know_labels, log_answers, log_background
from tests.synthetic import synthetic_model

FIRST = datetime(2013, 3, 1, 12, tzinfo=UTC)
END, LATER = FIRST + timedelta(days=2), FIRST + timedelta(days=30)
BASELINE = msgspec.structs.replace(synthetic_model().contract, version="1")
CHALLENGER = msgspec.structs.replace(BASELINE, version="2", artifact_digest="2")
N = 600
RNG = np.random.default_rng(2013)
VECTORS = RNG.normal(size=(N, 26)).astype(np.float32)
VECTORS[::7, 5] = np.nan
# The first input is the log-odds: the challenger reads it rightly, the baseline half of it.
TRUTH = 1 / (1 + np.exp(-3 * VECTORS[:, 0].astype(np.float64)))
LABELS = (RNG.random(N) < TRUTH).astype(np.int8)
POLICY = shipped_policy().evidence


def score(contract: ModelContract, vectors: np.ndarray) -> np.ndarray:
    slope = 3.0 if contract.version == "2" else 0.5
    return 1 / (1 + np.exp(-slope * vectors[:, 0].astype(np.float64)))


def known(digest: str) -> ModelContract | None:
    return {contract.digest: contract for contract in (BASELINE, CHALLENGER)}.get(digest)


def replay(home: Path, version: ModelContract = CHALLENGER, now: datetime = LATER, **options: object) -> ReplayedLog:
    wanted = {"start": FIRST, "end": END, "contract_of": known, "scored": score, **options}
    return replayed(Settings(home=home), version, now=now, **wanted)  # type: ignore[arg-type]


def report(log: ReplayedLog) -> ReplayReport:
    return replay_report(log, POLICY, start=FIRST.isoformat(), end=END.isoformat())


@pytest.fixture
def home(tmp_path: Path) -> Path:
    ids = log_answers(tmp_path / "lake", BASELINE, VECTORS, score(BASELINE, VECTORS), first=FIRST)
    know_labels(tmp_path / "lake", ids, LABELS, first=FIRST)
    return tmp_path


def test_every_row_of_the_window_is_scored_once_beside_what_was_served(home: Path) -> None:
    rows = replay(home).rows
    assert rows["prediction_id"].to_list() == [f"p{i}" for i in range(N)]
    np.testing.assert_array_equal(rows["score"], score(CHALLENGER, VECTORS))
    np.testing.assert_array_equal(rows["reference"], score(BASELINE, VECTORS))
    assert rows["label"].to_list() == LABELS.tolist()
    inside = replay(home, start=FIRST + timedelta(minutes=5), end=FIRST + timedelta(minutes=7)).rows
    assert inside["prediction_id"].to_list() == ["p5", "p6"]


def test_a_better_version_is_told_with_its_evidence(home: Path) -> None:
    found = report(replay(home)).labelled
    assert found is not None
    assert found.rows == N
    brier = [float(np.mean((score(c, VECTORS) - LABELS) ** 2)) for c in (CHALLENGER, BASELINE)]
    assert [found.version.brier, found.reference.brier] == pytest.approx(brier)
    assert found.brier_difference == pytest.approx(brier[0] - brier[1])
    assert found.version.log_loss < found.reference.log_loss
    assert found.version.auc == pytest.approx(found.reference.auc), "they rank alike"
    assert found.evidence_not_worse > 1 / POLICY.alpha_pass
    assert found.evidence_worse < 2


def test_a_worse_version_is_told_too(home: Path) -> None:
    found = report(replay(home, BASELINE, against=CHALLENGER)).labelled
    assert found is not None
    assert found.brier_difference > 0
    assert found.evidence_worse > 1 / POLICY.alpha_of("loss")


def test_differences_and_flips_are_by_arm_and_version(home: Path) -> None:
    odd = np.full(3, 0.9)
    log_answers(home / "lake", CHALLENGER, VECTORS[:3], odd, first=FIRST, arm="canary", prefix="c")
    found = report(replay(home))
    assert [(d.arm, d.model_version, d.rows) for d in found.by_arm] == [("baseline", "1", N), ("canary", "2", 3)]
    difference = score(CHALLENGER, VECTORS) - score(BASELINE, VECTORS)
    assert found.by_arm[0].mean == pytest.approx(difference.mean())
    assert found.by_arm[0].quantiles["0.95"] == pytest.approx(np.quantile(difference, 0.95))
    assert found.by_arm[0].flips == 0, "both cross one half at the same place"
    flipped = score(CHALLENGER, VECTORS[:3]) < 0.5
    assert (found.by_arm[1].flips, found.by_arm[1].flips_up) == (flipped.sum(), 0)
    assert found.overall.rows == N + 3


def test_what_was_served_under_its_name_must_be_the_artifacts_score(home: Path) -> None:
    said = score(CHALLENGER, VECTORS[:50])
    ids = log_answers(home / "lake", CHALLENGER, VECTORS[:50], said + 5e-5, first=FIRST, prefix="own")
    assert report(replay(home)).skew.differing == 0
    log_background(
        home / "lake", CHALLENGER, [f"p{i}" for i in range(20)], score(CHALLENGER, VECTORS[:20]), first=FIRST
    )
    assert report(replay(home)).skew.rows == 70
    said[3] += 0.01
    log_answers(home / "lake", CHALLENGER, VECTORS[:50], said, first=FIRST, prefix="own")
    skew = report(replay(home)).skew
    assert (skew.rows, skew.differing) == (70, 1)
    assert skew.largest == pytest.approx(0.01)
    assert skew.example.startswith(f"{ids[3]}: logged")
    assert any(line.startswith("Serving skew: 1 of 70") for line in conclusions(report(replay(home))))


def test_rows_that_do_not_fit_are_counted_by_reason(home: Path) -> None:
    other = msgspec.structs.replace(BASELINE, version="9", inputs=BASELINE.inputs[::-1])
    lost = msgspec.structs.replace(BASELINE, version="8")
    log_answers(home / "lake", other, VECTORS[:2], TRUTH[:2], first=FIRST, prefix="other")
    log_answers(home / "lake", lost, VECTORS[:3], TRUTH[:3], first=FIRST, prefix="lost")
    log_answers(home / "lake", BASELINE, VECTORS[:4], np.full(4, np.nan), first=FIRST, prefix="nan")
    log_answers(home / "lake", BASELINE, VECTORS[:5], TRUTH[:5], first=FIRST, prefix="bad", outcome="error")
    log_answers(home / "lake", BASELINE, VECTORS[:6, :20], TRUTH[:6], first=FIRST, prefix="short")
    found = replay(home, contract_of=lambda digest: other if digest == other.digest else known(digest))
    assert found.left_out == {
        "a contract that is not known any more": 3,
        "no probability as the answer": 9,
        "other inputs than the version's": 8,
    }
    assert found.rows.height == N
    assert "left out: 3 rows of a contract that is not known any more" in list(headline(report(found)))


def test_a_window_without_fitting_rows_is_refused_with_the_reason(home: Path, tmp_path: Path) -> None:
    with pytest.raises(NothingToReplayError, match=r"2013-06-01 00:00 .* fits flight_delay_v2: nothing was logged"):
        replay(home, start=datetime(2013, 6, 1, tzinfo=UTC), end=datetime(2013, 6, 2, tzinfo=UTC))
    stranger = msgspec.structs.replace(BASELINE, version="3", inputs=BASELINE.inputs[::-1])
    with pytest.raises(NothingToReplayError, match="600 of other inputs than the version's"):
        replay(home, stranger)


def test_labels_of_a_training_window_and_of_the_future_say_nothing(home: Path) -> None:
    taught = msgspec.structs.replace(CHALLENGER, training_end=(END + timedelta(days=1)).isoformat())
    assert report(replay(home, taught)).unlabelled.startswith("all 600 labelled rows lie in a training window")
    half = msgspec.structs.replace(CHALLENGER, training_end=(FIRST + timedelta(minutes=N // 2)).isoformat())
    found = report(replay(home, half)).labelled
    assert found is not None
    assert found.rows == N // 2
    assert report(replay(home, now=FIRST)).unlabelled == "no label is known yet"


def test_one_outcome_only_is_no_comparison(home: Path) -> None:
    know_labels(home / "lake", [f"p{i}" for i in range(N)], np.zeros(N, np.int8), first=FIRST)
    assert report(replay(home)).unlabelled == "the 600 labelled rows have one outcome only"


def test_a_subject_counts_once(home: Path) -> None:
    lake = home / "lake"
    log_answers(lake, BASELINE, VECTORS, score(BASELINE, VECTORS), first=FIRST, prefix="again")
    rows = pl.read_parquet(lake / "predictions" / "day=2013-03-01" / "again.parquet")
    twice = rows.with_columns(pl.col("request_id").str.replace("r-again", "r-p"))
    twice.write_parquet(lake / "predictions" / "day=2013-03-01" / "again.parquet")
    found = report(replay(home)).labelled
    assert found is not None
    assert found.rows == N


def test_a_landed_duplicate_counts_once(home: Path) -> None:
    folder = home / "lake" / "predictions" / "day=2013-03-01"
    (folder / "twice.parquet").write_bytes((folder / "p.parquet").read_bytes())
    assert replay(home).rows.height == N
