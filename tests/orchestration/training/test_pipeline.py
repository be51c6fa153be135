"""Rows to a registered version to a served one, on a real MLflow and a real Triton."""

from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path

import mlflow
import numpy as np
import polars as pl
import pytest

from orchestration.ingestion.partitions import write_partitions
from orchestration.publishing.publish import unpublish
from orchestration.publishing.registered import publish_alias, registered
from orchestration.publishing.repository import Repository
from orchestration.settings import Settings
from orchestration.training.contract import triton_name
from orchestration.training.pipeline import Registration, Windows, train_and_register
from orchestration.training.registry import RegistryError
from tests.servers import MlflowServer, TritonServer
from tests.synthetic import CARRIERS, ORIGINS, synthetic_rows

FIRST, SPLIT, END = date(2013, 1, 1), date(2013, 1, 9), date(2013, 1, 11)
WINDOWS = Windows(train=(FIRST, SPLIT), holdout=(SPLIT, END))


def write_rows(folder: Path) -> None:
    """Synthetic rows as training partitions: a day by `sched_dep`, an hour after the prediction's time."""
    rows = synthetic_rows(6000).with_columns(
        carrier=pl.col("s_carrier"),
        origin=pl.col("s_origin"),
        sched_dep=pl.col("event_timestamp"),
        event_timestamp=pl.col("event_timestamp") - timedelta(hours=1),
    )
    write_partitions(rows, folder, FIRST, END, day=pl.col("sched_dep").dt.date())


@pytest.fixture
def settings(
    triton_home: Path, triton: TritonServer, mlflow_tracking: MlflowServer, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Settings]:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", mlflow_tracking.url)
    monkeypatch.setenv("TRITON_GRPC", triton.grpc)
    mlflow.set_tracking_uri(mlflow_tracking.url)
    mlflow.set_experiment("pipeline")
    settings = Settings(home=triton_home)
    write_rows(settings.lake / "training")
    yield settings
    mlflow.set_tracking_uri(None)


def run(settings: Settings, **options: object) -> Registration:
    with mlflow.start_run():
        return train_and_register(mlflow, settings.lake / "training", WINDOWS, (), **options)


@pytest.mark.integration
def test_alias_is_trained_registered_published_and_answers(settings: Settings) -> None:
    result = run(settings, alias="champion")
    try:
        name = publish_alias(settings, "champion")
        published = Repository.of(settings).published()
    finally:
        unpublish(triton_name(result.contract), repository=Repository.of(settings), grpc=settings.triton_grpc)

    assert name == triton_name(result.contract)
    assert published == [name]
    assert registered(settings, "champion").contract == result.contract


@pytest.mark.integration
def test_windows_do_not_share_a_row_and_lose_none(settings: Settings) -> None:
    result = run(settings, alias="champion")

    assert (result.training_samples, result.holdout.rows) == (4800, 1200)
    assert result.parity < 1e-6
    assert result.holdout.auc > 0.7
    assert [i.vocabulary for i in result.contract.inputs[:2]] == [CARRIERS, ORIGINS]


@pytest.mark.integration
def test_challenger_shares_the_champions_inputs_whatever_its_rows_hold(settings: Settings) -> None:
    champion = run(settings, alias="champion").contract
    for path in (settings.lake / "training").glob("*.parquet"):
        rows = pl.read_parquet(path, hive_partitioning=False)
        rows.filter(pl.col("carrier") != "AA").write_parquet(path)

    alone = run(settings, alias="challenger").contract
    challenger = run(settings, alias="challenger", like=champion).contract

    assert alone.signature != champion.signature
    assert challenger.signature == champion.signature
    assert challenger.artifact_digest != champion.artifact_digest


@pytest.mark.integration
def test_metrics_of_the_holdout_stand_in_the_run(settings: Settings) -> None:
    result = run(settings, alias="champion")

    data = mlflow.get_run(result.contract.mlflow_run_id).data
    assert data.metrics["holdout_auc"] == pytest.approx(result.holdout.auc)
    assert data.params["train_days"] == "2013-01-01/2013-01-09"
    assert np.isfinite(data.metrics["onnx_parity"])


@pytest.mark.integration
def test_unset_alias_says_what_to_materialize(settings: Settings) -> None:
    with pytest.raises(RegistryError, match="materialize nobody_model first"):
        registered(settings, "nobody")  # type: ignore[arg-type]


def test_holdout_that_overlaps_training_is_refused() -> None:
    with pytest.raises(ValueError, match="before the training window ends"):
        Windows(train=(FIRST, SPLIT), holdout=(SPLIT - timedelta(days=1), END))
