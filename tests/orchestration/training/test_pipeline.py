"""Rows to a registered version to a served one, on a real MLflow and a real Triton."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from types import ModuleType

import numpy as np
import polars as pl
import pytest

from orchestration.publishing.publish import unpublish
from orchestration.publishing.registered import publish_alias, registered
from orchestration.publishing.repository import Repository
from orchestration.settings import Settings
from orchestration.training.contract import MODEL, triton_name
from orchestration.training.gates import Bound, Gates
from orchestration.training.pipeline import Registration, Windows, train_and_register
from orchestration.training.recipes import RecipeName
from orchestration.training.registry import RegistryError
from tests.servers import MlflowServer, TritonServer
from tests.synthetic import CARRIERS, ORIGINS, write_partitioned

FIRST, SPLIT, END = date(2013, 1, 1), date(2013, 1, 9), date(2013, 1, 11)
WINDOWS = Windows(train=(FIRST, SPLIT), holdout=(SPLIT, END))


ANYTHING = Gates(**dict.fromkeys(Gates.__struct_fields__, Bound(min=-1e9)))
NOTHING = Gates(**dict.fromkeys(Gates.__struct_fields__, Bound(min=1e9)))


@pytest.fixture(scope="module")
def mlflow(mlflow_tracking: MlflowServer) -> Iterator[ModuleType]:
    import mlflow

    mlflow.set_tracking_uri(mlflow_tracking.url)
    yield mlflow
    mlflow.set_tracking_uri(None)


@pytest.fixture(scope="module")
def settings(
    triton_home: Path, triton: TritonServer, mlflow_tracking: MlflowServer, mlflow: ModuleType
) -> Iterator[Settings]:
    """A lake of synthetic days beside the servers."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_TRACKING_URI", mlflow_tracking.url)
        patch.setenv("TRITON_GRPC", triton.grpc)
        mlflow.set_experiment("pipeline")
        settings = Settings(home=triton_home)
        write_partitioned(settings.lake / "training", FIRST, END)
        yield settings


def run(mlflow: ModuleType, training: Path, **options: object) -> Registration:
    wanted = {"gates": ANYTHING, "recipe": RecipeName.lightgbm, "windows": WINDOWS, "views": (), **options}
    with mlflow.start_run():
        return train_and_register(mlflow, training, **wanted)


@pytest.fixture(scope="module")
def champion(settings: Settings, mlflow: ModuleType) -> Registration:
    """The only one that passes its gates under this alias."""
    return run(mlflow, settings.lake / "training", alias="champion", source="https://dagster/runs/7")


@pytest.fixture(scope="module")
def failed(settings: Settings, champion: Registration, mlflow: ModuleType) -> Registration:
    """The same once more, by gates that nothing passes; it would have been fitted again."""
    return run(
        mlflow, settings.lake / "training", alias="champion", windows=replace(WINDOWS, refit=True), gates=NOTHING
    )


@pytest.mark.integration
def test_alias_is_trained_registered_published_and_answers(settings: Settings, champion: Registration) -> None:
    try:
        name = publish_alias(settings, "champion")
        published = Repository.of(settings).published()
    finally:
        unpublish(triton_name(champion.contract), repository=Repository.of(settings), grpc=settings.triton_grpc)

    assert name == triton_name(champion.contract)
    assert published == [name]
    found = registered(settings, "champion")
    assert found.contract == champion.contract
    assert found.trees is not None
    assert found.trees.startswith("tree\n")


@pytest.mark.integration
def test_windows_do_not_share_a_row_and_lose_none(champion: Registration) -> None:
    assert (champion.training_samples, champion.holdout.metrics.rows) == (4800, 1200)
    assert champion.parity < 1e-6
    assert champion.holdout.metrics.auc > 0.7
    assert [i.vocabulary for i in champion.contract.inputs[:2]] == [CARRIERS, ORIGINS]


@pytest.mark.integration
def test_a_recipe_that_passed_is_fitted_to_both_windows_and_one_that_failed_is_not(
    settings: Settings, champion: Registration, failed: Registration, mlflow: ModuleType
) -> None:
    refitted = run(mlflow, settings.lake / "training", alias="challenger", windows=replace(WINDOWS, refit=True))

    assert (champion.training_samples, refitted.training_samples, failed.training_samples) == (4800, 6000, 4800)
    assert refitted.holdout.metrics == champion.holdout.metrics, "the hold-out judges a model that has not seen it"
    assert refitted.contract.artifact_digest != champion.contract.artifact_digest == failed.contract.artifact_digest
    assert refitted.contract.training_start == champion.contract.training_start
    assert (champion.contract.training_end[:13], refitted.contract.training_end[:13]) == (
        "2013-01-08T23",
        "2013-01-10T23",
    )
    assert mlflow.get_run(refitted.contract.mlflow_run_id).data.params["refit"] == "True"


@pytest.mark.integration
def test_challenger_shares_the_champions_inputs_whatever_its_rows_hold(
    champion: Registration, tmp_path: Path, mlflow: ModuleType
) -> None:
    write_partitioned(tmp_path, FIRST, END)
    for path in tmp_path.glob("*.parquet"):
        rows = pl.read_parquet(path, hive_partitioning=False)
        rows.filter(pl.col("carrier") != "AA").write_parquet(path)

    alone = run(mlflow, tmp_path, alias="challenger", recipe=RecipeName.network).contract
    challenger = run(mlflow, tmp_path, alias="challenger", recipe=RecipeName.network, like=champion.contract).contract

    assert alone.signature != champion.contract.signature
    assert challenger.signature == champion.contract.signature
    assert challenger.artifact_digest != champion.contract.artifact_digest


@pytest.mark.integration
def test_the_run_and_the_version_say_how_the_model_came_about(champion: Registration, mlflow: ModuleType) -> None:
    found = mlflow.get_run(champion.contract.mlflow_run_id).data
    assert found.metrics["holdout_auc"] == pytest.approx(champion.holdout.metrics.auc)
    assert np.isfinite(found.metrics["onnx_parity"])
    assert (found.tags["recipe"], found.tags["gates"]) == ("lightgbm", "passed")
    days = {"recipe": "lightgbm", "train_days": "2013-01-01/2013-01-09", "holdout_days": "2013-01-09/2013-01-11"}
    assert found.params.items() >= days.items()
    plots = {file.path for file in mlflow.MlflowClient().list_artifacts(champion.contract.mlflow_run_id, "plots")}
    assert plots == {f"plots/{name}.png" for name in ("calibration_curve", "feature_importance", "score_histogram")}
    version = mlflow.MlflowClient().get_model_version(MODEL, champion.contract.version)
    assert version.tags.items() >= days.items()
    for told in ("Recipe lightgbm", "2013-01-09 to 2013-01-11", "Gates passed", "https://dagster/runs/7"):
        assert told in version.description


@pytest.mark.integration
def test_a_model_that_fails_its_gates_is_registered_and_the_alias_stays(
    settings: Settings, champion: Registration, failed: Registration, mlflow: ModuleType
) -> None:
    assert not failed.holdout.gates.passed
    assert int(failed.contract.version) > int(champion.contract.version)
    assert registered(settings, "champion").contract == champion.contract
    assert mlflow.get_run(failed.contract.mlflow_run_id).data.tags["gates"] == "failed"


@pytest.mark.integration
def test_unset_alias_says_what_to_materialize(settings: Settings) -> None:
    with pytest.raises(RegistryError, match="materialize nobody_model first"):
        registered(settings, "nobody")  # type: ignore[arg-type]


def test_holdout_that_overlaps_training_is_refused() -> None:
    with pytest.raises(ValueError, match="before the training window ends"):
        Windows(train=(FIRST, SPLIT), holdout=(SPLIT - timedelta(days=1), END))
