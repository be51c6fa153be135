"""Logging to and reading from a real MLflow server."""

from collections.abc import Iterator
from dataclasses import asdict
from datetime import timedelta
from pathlib import Path
from types import ModuleType

import msgspec
import numpy as np
import pytest

from orchestration.training.artifact import ArtifactError
from orchestration.training.contract import MODEL, build_contract, triton_name
from orchestration.training.evaluation import evaluate
from orchestration.training.figures import importance_bars
from orchestration.training.gates import Bound, GateResult, Judged
from orchestration.training.lightgbm_onnx import to_text
from orchestration.training.registry import Alias, RegistryError, fetch, log_training, register, version_of
from serving_gateway.contracts import ModelContract
from tests.servers import MlflowServer
from tests.synthetic import START, synthetic_inputs, synthetic_model

PASSED = GateResult((Judged("auc", 0.8, Bound(min=0.7), ok=True),))
FAILED = GateResult((Judged("auc", 0.6, Bound(min=0.7), ok=False),))


def contract_of(version: str, run_id: str) -> ModelContract:
    return build_contract(
        synthetic_model().onnx,
        version=version,
        run_id=run_id,
        inputs=synthetic_inputs(),
        views=(),
        training_start=START,
        training_end=START + timedelta(days=10),
    )


@pytest.fixture
def mlflow(mlflow_tracking: MlflowServer) -> Iterator[ModuleType]:
    import mlflow

    mlflow.set_tracking_uri(mlflow_tracking.url)
    mlflow.set_experiment("test")
    yield mlflow
    mlflow.set_tracking_uri(None)


def registered(mlflow: ModuleType, alias: Alias, **options: object) -> ModelContract:
    wanted = {"gates": PASSED, "tags": {"recipe": "lightgbm"}, "description": "trained on synthetic rows", **options}
    with mlflow.start_run():
        return register(mlflow, synthetic_model().onnx, wanted.pop("contract_of", contract_of), alias=alias, **wanted)


def versions(mlflow: ModuleType) -> list[str]:
    return [found.version for found in mlflow.MlflowClient().search_model_versions(f"name='{MODEL}'")]


@pytest.mark.integration
def test_trees_come_back_as_they_were_and_a_version_without_has_none(mlflow: ModuleType) -> None:
    text = to_text(synthetic_model().trained.booster)
    kept, without = registered(mlflow, "champion", trees=text), registered(mlflow, "challenger")

    assert fetch(mlflow, kept.version).trees == text
    assert fetch(mlflow, without.version).trees is None


@pytest.mark.integration
def test_registered_version_comes_back_byte_for_byte(mlflow: ModuleType) -> None:
    contract = registered(mlflow, "champion")

    found = fetch(mlflow, contract.version)

    assert found.onnx == synthetic_model().onnx
    assert found.contract == contract
    assert found.contract.digest == contract.digest


@pytest.mark.integration
def test_version_run_and_tags_name_each_other(mlflow: ModuleType) -> None:
    contract = registered(mlflow, "champion")

    version = mlflow.MlflowClient().get_model_version(MODEL, contract.version)

    assert version.run_id == contract.mlflow_run_id
    assert version.description == "trained on synthetic rows"
    assert version.tags == {
        "recipe": "lightgbm",
        "gates": "passed",
        "contract_digest": contract.digest,
        "triton_model": f"flight_delay_v{contract.version}",
    }


@pytest.mark.integration
def test_aliases_follow_the_newest_of_their_kind_and_leave_each_other_alone(mlflow: ModuleType) -> None:
    champion = registered(mlflow, "champion")
    challenger = registered(mlflow, "challenger")

    assert int(challenger.version) == int(champion.version) + 1
    assert version_of(mlflow, "champion") == champion.version
    assert version_of(mlflow, "challenger") == challenger.version


@pytest.mark.integration
def test_logged_model_loads_as_any_mlflow_model_does(mlflow: ModuleType) -> None:
    registered(mlflow, "champion")
    model = synthetic_model()

    loaded = mlflow.pyfunc.load_model(f"models:/{MODEL}@champion")

    scores = loaded.predict({"features": model.trained.samples.vectors[:20]})["score"]
    np.testing.assert_allclose(scores[:, 0], model.trained.scores[:20], atol=1e-5)


@pytest.mark.integration
def test_parameters_and_metrics_stand_in_the_run(mlflow: ModuleType) -> None:
    model = synthetic_model()
    metrics = evaluate(model.trained.samples.labels, model.trained.scores)
    with mlflow.start_run() as run:
        log_training(mlflow, {"rounds": 20}, {"april": metrics}, {"importance": importance_bars({"x": 0.1})})

    data = mlflow.get_run(run.info.run_id).data
    assert data.params == {"rounds": "20"}
    assert data.metrics["april_auc"] == pytest.approx(metrics.auc)
    assert set(data.metrics) == {f"april_{name}" for name in asdict(metrics)}
    plot = mlflow.artifacts.download_artifacts(f"runs:/{run.info.run_id}/plots/importance.png")
    assert Path(plot).read_bytes().startswith(b"\x89PNG")


@pytest.mark.integration
def test_unknown_version_and_alias_are_told_apart_from_failures(mlflow: ModuleType) -> None:
    with pytest.raises(RegistryError, match="no intact flight_delay version 9999"):
        fetch(mlflow, "9999")
    assert version_of(mlflow, "nobody") is None  # type: ignore[arg-type]


@pytest.mark.integration
def test_a_version_that_failed_its_gates_is_kept_with_the_reason_and_no_alias_finds_it(mlflow: ModuleType) -> None:
    champion = registered(mlflow, "champion")
    failed = registered(mlflow, "champion", gates=FAILED)

    assert version_of(mlflow, "champion") == champion.version
    kept = mlflow.MlflowClient().get_model_version(MODEL, failed.version)
    assert kept.aliases == []
    assert kept.tags["gates"] == "failed"
    assert kept.tags["gates_reason"] == "auc 0.6 (at least 0.7)"


@pytest.mark.integration
def test_an_artifact_that_its_contract_does_not_name_is_not_registered(mlflow: ModuleType) -> None:
    def other(version: str, run_id: str) -> ModelContract:
        return msgspec.structs.replace(contract_of(version, run_id), artifact_digest="0" * 64)

    champion, before = registered(mlflow, "champion"), versions(mlflow)

    with pytest.raises(ArtifactError, match="is not the artifact that the contract of version unregistered names"):
        registered(mlflow, "champion", contract_of=other)
    assert versions(mlflow) == before
    assert version_of(mlflow, "champion") == champion.version


@pytest.mark.integration
def test_a_version_whose_contract_was_exchanged_is_refused(mlflow: ModuleType) -> None:
    contract = registered(mlflow, "challenger")
    other = msgspec.structs.replace(contract, artifact_digest="0" * 64)
    path = f"contract/{MODEL}_v{contract.version}.json"
    mlflow.MlflowClient().log_text(contract.mlflow_run_id, other.to_json().decode(), path)

    with pytest.raises(RegistryError, match=r"cannot be used: it is not the artifact .* train again"):
        fetch(mlflow, contract.version)


@pytest.mark.integration
def test_a_version_that_somebody_registered_without_a_contract_is_refused(mlflow: ModuleType) -> None:
    made = registered(mlflow, "challenger")
    bare = mlflow.MlflowClient().create_model_version(MODEL, f"runs:/{made.mlflow_run_id}/model", made.mlflow_run_id)

    with pytest.raises(RegistryError, match=f"no intact flight_delay version {bare.version}"):
        fetch(mlflow, bare.version)


def test_triton_name_carries_the_version() -> None:
    assert triton_name(contract_of("12", "run")) == "flight_delay_v12"


@pytest.mark.integration
def test_the_resource_of_dagster_mlflow_serves_as_well_as_the_module(mlflow: ModuleType) -> None:
    import dagster as dg
    from dagster_mlflow import end_mlflow_on_run_finished, mlflow_tracking

    @dg.op(required_resource_keys={"mlflow"})
    def publish_op(context: dg.OpExecutionContext) -> str:
        options = {"gates": PASSED, "tags": {}, "description": "by Dagster"}
        onnx = synthetic_model().onnx
        contract = register(context.resources.mlflow, onnx, contract_of, alias="challenger", **options)
        assert fetch(context.resources.mlflow, contract.version).contract == contract
        assert version_of(context.resources.mlflow, "challenger") == contract.version
        return contract.mlflow_run_id

    config = {"experiment_name": "dagster", "mlflow_tracking_uri": mlflow.get_tracking_uri()}

    @end_mlflow_on_run_finished
    @dg.job(resource_defs={"mlflow": mlflow_tracking.configured(config)})
    def train_job() -> None:
        publish_op()

    done = train_job.execute_in_process()

    run = mlflow.get_run(done.output_for_node("publish_op"))
    assert run.data.tags["dagster_run_id"] == done.run_id
    assert run.info.status == "FINISHED"
