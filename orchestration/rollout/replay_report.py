"""What a replayed window says: how far a version's scores are from the others, how good both are, and its serving skew."""

import numpy as np
import polars as pl
from msgspec import Struct

from orchestration.rollout.betting import log_capital
from orchestration.rollout.policy import EvidencePolicy
from orchestration.rollout.replayed import ReplayedLog, trained_on
from orchestration.training.contract import triton_name
from orchestration.training.evaluation import evaluate
from orchestration.training.onnx_model import TOLERANCE

QUANTILES = (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99)
_LARGEST = 700.0  # exp() of it is finite, and more evidence says nothing more


class Differences(Struct, frozen=True, kw_only=True):
    """Score minus reference over rows that one arm of one model answered (`arm` empty: over all rows).

    `quantiles` by level as text; `flips` are rows with another decision, `flips_up` of them those that became true.
    """

    arm: str
    model_version: str
    rows: int
    mean: float
    mean_absolute: float
    largest: float
    quantiles: dict[str, float]
    flips: int
    flips_up: int


class Quality(Struct, frozen=True, kw_only=True):
    """One side's scores against the labels; log-loss in nats."""

    log_loss: float
    brier: float
    auc: float
    calibration_bias: float


class Labelled(Struct, frozen=True, kw_only=True):
    """Both sides on the rows whose label is known, each subject once.

    `brier_difference` is the version's minus the reference's, row by row; `evidence_worse` to 1 speaks for "worse", and
    `evidence_not_worse` to 1 for "not worse by `delta`" (e-processes, betting.py).
    """

    rows: int
    version: Quality
    reference: Quality
    brier_difference: float
    delta: float
    evidence_worse: float
    evidence_not_worse: float


class ServingSkew(Struct, frozen=True, kw_only=True):
    """The version's scores against what was logged as its own: `differing` of `rows` by more than `tolerance`."""

    rows: int
    differing: int
    largest: float
    tolerance: float
    example: str = ""


class ReplayReport(Struct, frozen=True, kw_only=True):
    """A window, [start, end) in event time (ISO 8601), as `version` would have answered it, against `reference`.

    `left_out` counts rows by why they were not scored. `labelled` is None where labels say nothing, and `unlabelled` why.
    """

    version: str
    reference: str
    start: str
    end: str
    rows: int
    left_out: dict[str, int]
    overall: Differences
    by_arm: list[Differences]
    skew: ServingSkew
    labelled: Labelled | None = None
    unlabelled: str = ""


def replay_report(log: ReplayedLog, policy: EvidencePolicy, *, start: str, end: str) -> ReplayReport:
    """Compare a replayed window, row by row."""
    labelled, why_not = _labelled(log, policy)
    groups = log.rows.partition_by("arm", "model_version", as_dict=True)
    return ReplayReport(
        version=triton_name(log.contract),
        reference=triton_name(log.against) if log.against else "what was served",
        start=start,
        end=end,
        rows=log.rows.height,
        left_out=log.left_out,
        overall=_differences(log.rows, "", ""),
        by_arm=[_differences(part, str(arm), str(version)) for (arm, version), part in sorted(groups.items())],
        skew=_skew(log.own),
        labelled=labelled,
        unlabelled=why_not,
    )


def _differences(rows: pl.DataFrame, arm: str, model_version: str) -> Differences:
    difference = (rows["score"] - rows["reference"]).to_numpy()
    flipped = rows.filter(pl.col("decision") != pl.col("reference_decision"))
    return Differences(
        arm=arm,
        model_version=model_version,
        rows=rows.height,
        mean=float(difference.mean()),
        mean_absolute=float(np.abs(difference).mean()),
        largest=float(np.abs(difference).max()),
        quantiles={
            f"{q:g}": float(value) for q, value in zip(QUANTILES, np.quantile(difference, QUANTILES), strict=True)
        },
        flips=flipped.height,
        flips_up=int(flipped["decision"].sum()),
    )


def _skew(own: pl.DataFrame) -> ServingSkew:
    apart = own.with_columns(apart=(pl.col("score") - pl.col("logged")).abs()).sort("apart", descending=True)
    # not at most: a score that is NaN differs too
    differing = apart.filter(~(pl.col("apart") <= TOLERANCE) | pl.col("apart").is_nan())
    worst = apart.row(0, named=True) if apart.height else None
    return ServingSkew(
        rows=own.height,
        differing=differing.height,
        largest=float(worst["apart"]) if worst else 0.0,
        tolerance=TOLERANCE,
        example=f"{worst['prediction_id']}: logged {worst['logged']:.6f}, scored {worst['score']:.6f}"
        if worst and differing.height
        else "",
    )


def _labelled(log: ReplayedLog, policy: EvidencePolicy) -> tuple[Labelled | None, str]:
    """The rows that either side was trained on are left out; so are further rows of a subject, in order of maturity."""
    known = log.rows.drop_nulls("label")
    if known.is_empty():
        return None, "no label is known yet"
    fresh = known
    for contract in filter(None, (log.contract, log.against)):
        fresh = fresh.filter(~trained_on(contract))
    if fresh.is_empty():
        return None, f"all {known.height} labelled rows lie in a training window: their labels say nothing"
    once = fresh.sort("matures_at", "request_id", "subject", maintain_order=True).unique(
        "subject", keep="first", maintain_order=True
    )
    labels, version, reference = (once[name].cast(pl.Float64).to_numpy() for name in ("label", "score", "reference"))
    if once["label"].n_unique() < 2:
        return None, f"the {once.height} labelled rows have one outcome only"
    worse_by = (version - labels) ** 2 - (reference - labels) ** 2
    test = policy.test("loss")
    return Labelled(
        rows=once.height,
        version=_quality(labels, version),
        reference=_quality(labels, reference),
        brier_difference=float(worse_by.mean()),
        delta=test.delta,
        evidence_worse=_evidence(log_capital(worse_by, test.tolerance)),
        evidence_not_worse=_evidence(log_capital(-worse_by, -test.delta)),
    ), ""


def _quality(labels: np.ndarray, scores: np.ndarray) -> Quality:
    found = evaluate(labels.astype(np.int8), scores)
    return Quality(log_loss=found.log_loss, brier=found.brier, auc=found.auc, calibration_bias=found.calibration_bias)


def _evidence(log_capitals: np.ndarray) -> float:
    return float(np.exp(min(float(log_capitals.max()), _LARGEST)))
