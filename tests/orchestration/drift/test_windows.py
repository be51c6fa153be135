"""Which vectors a drift report compares."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl

from orchestration.drift.windows import inputs_of, logged_rows
from orchestration.ingestion.predictions import PREDICTION_SCHEMA
from serving_gateway.contracts import Input, ModelContract, RequestField

NOON = datetime(2013, 5, 1, 12, tzinfo=UTC)
CONTRACT = ModelContract(
    model="m", version="1", views=(), feature_service="m", project="p", decision_threshold=0.5, training_start="",
    training_end="", mlflow_run_id="r", artifact_digest="1",
    inputs=tuple(Input(name=name, dtype="float32", source=RequestField(name)) for name in ("a", "b")),
)  # fmt: skip


def logged(lake: Path, *rows: tuple[str, datetime, str, list[float]]) -> None:
    frame = pl.DataFrame(
        [
            {
                "prediction_id": f"p{i}", "request_id": request, "event_time": at, "contract_digest": digest,
                "vector": vector, "served_at": NOON + timedelta(seconds=i),
            }
            for i, (request, at, digest, vector) in enumerate(rows)
        ],
        schema=PREDICTION_SCHEMA,
    )  # fmt: skip
    folder = lake / "predictions" / "day=2013-05-01"
    folder.mkdir(parents=True)
    frame.write_parquet(folder / "1.parquet")


def test_the_window_holds_each_request_once_with_the_contracts_inputs_only(tmp_path: Path) -> None:
    logged(
        tmp_path,
        ("r1", NOON, "mine", [1.0, 2.0]),
        ("r1", NOON, "mine", [3.0, 4.0]),
        ("r2", NOON, "alike", [5.0, float("nan")]),
        ("r3", NOON, "other", [7.0, 8.0]),
        ("r4", NOON - timedelta(hours=1), "mine", [9.0, 9.0]),
        ("r5", NOON, "mine", [1.0, 1.0, 1.0]),
    )
    found = inputs_of(asked(tmp_path), CONTRACT)
    assert found.to_dict(as_series=False) == {"a": [3.0, 5.0], "b": [4.0, None]}


def test_rows_that_landed_twice_and_rows_asked_once_are_there_once(tmp_path: Path) -> None:
    logged(tmp_path, ("r1", NOON, "mine", [1.0, 2.0]), ("r2", NOON, "mine", [3.0, 4.0]))
    assert asked(tmp_path)["request_id"].sort().to_list() == ["r1", "r2"]
    folder = tmp_path / "predictions" / "day=2013-05-01"
    (folder / "2.parquet").write_bytes((folder / "1.parquet").read_bytes())
    assert asked(tmp_path)["request_id"].sort().to_list() == ["r1", "r2"]


def test_a_window_without_rows_has_the_inputs_columns(tmp_path: Path) -> None:
    assert inputs_of(asked(tmp_path), CONTRACT).schema == {"a": pl.Float32, "b": pl.Float32}


def asked(lake: Path) -> pl.DataFrame:
    return logged_rows(
        lake, CONTRACT, NOON - timedelta(hours=1), NOON, same_inputs=lambda digest: digest in {"mine", "alike"}
    )
