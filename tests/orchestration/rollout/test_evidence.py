"""Which rows count as evidence."""

from datetime import UTC, datetime, timedelta

import polars as pl

from orchestration.rollout.evidence import paired_rows

NOON = datetime(2013, 5, 2, 12, tzinfo=UTC)


def predictions(*rows: tuple[str, str, str, float]) -> pl.DataFrame:
    return pl.DataFrame(rows, schema=["prediction_id", "request_id", "triton_model", "score"], orient="row")


def paired(*rows: tuple[str, str, str, float | None]) -> pl.DataFrame:
    return pl.DataFrame(rows, schema=["prediction_id", "triton_model", "outcome", "score"], orient="row")


def labels(*rows: tuple[str, int, datetime], subject: str | None = None) -> pl.DataFrame:
    frame = pl.DataFrame(rows, schema=["prediction_id", "label", "matures_at"], orient="row")
    return frame.with_columns(subject=pl.lit(subject) if subject else pl.col("prediction_id"))


def test_rows_scored_by_both_with_a_known_label_count_in_the_order_of_their_labels() -> None:
    found = paired_rows(
        predictions(("p1", "r1", "m_v1", 0.1), ("p2", "r2", "m_v1", 0.2), ("p3", "r3", "m_v1", 0.3)),
        paired(("p1", "m_v2", "ok", 0.9), ("p2", "m_v2", "ok", 0.8), ("p3", "m_v2", "ok", 0.7)),
        labels(
            ("p1", 1, NOON), ("p2", 0, NOON - timedelta(minutes=5)), ("p3", 0, NOON + timedelta(minutes=1))
        ),
        baseline="m_v1", canary="m_v2", now=NOON,
    )  # fmt: skip
    assert found["request_id"].to_list() == ["r2", "r1"]
    assert found["label"].to_list() == [0.0, 1.0]
    assert found["baseline"].to_list() == [0.2, 0.1]
    assert found["canary"].to_list() == [0.8, 0.9]


def test_failed_scores_other_models_and_rows_answered_by_the_canary_do_not_count() -> None:
    found = paired_rows(
        predictions(("p1", "r1", "m_v1", 0.1), ("p2", "r2", "m_v2", 0.2), ("p3", "r3", "m_v1", 0.3)),
        paired(("p1", "m_v2", "timeout", None), ("p2", "m_v2", "ok", 0.8), ("p3", "m_v9", "ok", 0.7)),
        labels(("p1", 1, NOON), ("p2", 0, NOON), ("p3", 0, NOON)),
        baseline="m_v1", canary="m_v2", now=NOON,
    )  # fmt: skip
    assert found.is_empty()


def test_what_was_asked_twice_counts_once() -> None:
    found = paired_rows(
        predictions(("p1", "r1", "m_v1", 0.1), ("p2", "r1", "m_v1", 0.1)),
        paired(("p1", "m_v2", "ok", 0.9), ("p2", "m_v2", "ok", 0.9)),
        labels(("p1", 1, NOON), ("p2", 1, NOON), subject="r1"),
        baseline="m_v1", canary="m_v2", now=NOON,
    )  # fmt: skip
    assert found.height == 1


def test_the_order_of_the_rows_does_not_depend_on_their_labels() -> None:
    """An on-time flight is known to be so before its deadline; it must not enter the test before an earlier late one."""
    asked = [NOON + timedelta(minutes=m) for m in range(4)]
    found = paired_rows(
        predictions(*((f"p{i}", f"r{i}", "m_v1", 0.1) for i in range(4))),
        paired(*((f"p{i}", "m_v2", "ok", 0.9) for i in range(4))),
        labels(*((f"p{i}", i % 2, at + timedelta(minutes=75)) for i, at in enumerate(asked))),
        baseline="m_v1", canary="m_v2", now=NOON + timedelta(days=1),
    )  # fmt: skip
    assert found["request_id"].to_list() == ["r0", "r1", "r2", "r3"]
