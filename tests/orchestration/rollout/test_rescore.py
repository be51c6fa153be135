"""Scores of logged vectors by a registered version: from MLflow once, from the disk afterwards."""

from pathlib import Path

import msgspec
import numpy as np
import pytest

from orchestration.rollout import rescore
from orchestration.rollout.rescore import RescoreError, registered_contract, registered_scores
from orchestration.settings import Settings
from orchestration.training.contract import MODEL
from orchestration.training.onnx_model import digest, score
from serving_gateway.contracts import ModelContract
from tests.orchestration.rollout.registering import register_synthetic
from tests.servers import MlflowServer, free_port
from tests.synthetic import synthetic_model

VECTORS = synthetic_model().trained.samples.vectors[:300]
SCORES = score(synthetic_model().onnx, VECTORS)


@pytest.fixture
def away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """A home without MLflow."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://me:secret@127.0.0.1:{free_port()}")
    return Settings(home=tmp_path)


def keep(settings: Settings, contract: ModelContract, onnx: bytes) -> Path:
    path = settings.home / "models" / f"{contract.artifact_digest}.onnx"
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(onnx)
    return path


def test_a_kept_artifact_scores_without_mlflow(away: Settings) -> None:
    model = synthetic_model()
    keep(away, model.contract, model.onnx)
    found = registered_scores(away, model.contract, VECTORS)
    assert found.dtype == np.float64
    np.testing.assert_array_equal(found, SCORES.astype(np.float64))


def test_batches_are_no_matter_and_no_rows_are_no_scores(away: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    model = synthetic_model()
    keep(away, model.contract, model.onnx)
    monkeypatch.setattr(rescore, "BATCH_ROWS", 7)
    np.testing.assert_allclose(registered_scores(away, model.contract, VECTORS), SCORES, atol=1e-6)
    assert registered_scores(away, model.contract, VECTORS[:0]).shape == (0,)


@pytest.mark.parametrize("shape", [(3, 25), (3, 27), (26,), (0, 1)])
def test_vectors_of_another_width_are_refused_by_their_shape(away: Settings, shape: tuple[int, ...]) -> None:
    with pytest.raises(RescoreError, match=f"takes vectors of 26 values, got an array of {shape[0]}"):
        registered_scores(away, synthetic_model().contract, np.zeros(shape, np.float32))


def test_what_is_not_kept_and_cannot_be_fetched_is_said_at_once_without_the_password(away: Settings) -> None:
    with pytest.raises(RescoreError, match=r"version 1 is not kept here, and MLflow at .* does not answer") as raised:
        registered_scores(away, synthetic_model().contract, VECTORS)
    assert "secret" not in str(raised.value)


def test_a_kept_file_that_was_damaged_is_not_believed(away: Settings) -> None:
    model = synthetic_model()
    keep(away, model.contract, model.onnx[:-1])
    with pytest.raises(RescoreError, match="does not answer"):
        registered_scores(away, model.contract, VECTORS)


def test_a_model_that_does_not_run_is_named(away: Settings) -> None:
    contract = msgspec.structs.replace(synthetic_model().contract, artifact_digest=digest(b"no model"))
    keep(away, contract, b"no model")
    with pytest.raises(RescoreError, match="flight_delay_v1 does not score"):
        registered_scores(away, contract, VECTORS)


def test_a_model_that_the_platform_does_not_have_is_named(away: Settings) -> None:
    with pytest.raises(RescoreError, match="no registered model 'other'"):
        registered_scores(away, ("other", "1"), VECTORS)


@pytest.fixture(scope="module")
def registered(mlflow_tracking: MlflowServer) -> ModelContract:
    return register_synthetic(mlflow_tracking.url)


@pytest.fixture
def there(tmp_path: Path, mlflow_tracking: MlflowServer, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", mlflow_tracking.url)
    return Settings(home=tmp_path)


@pytest.mark.integration
def test_a_version_is_fetched_once_and_kept_by_its_digest(
    there: Settings, registered: ModelContract, monkeypatch: pytest.MonkeyPatch
) -> None:
    by_name = registered_scores(there, (MODEL, registered.version), VECTORS)
    np.testing.assert_array_equal(by_name, SCORES)
    assert [path.name for path in (there.home / "models").iterdir()] == [f"{registered.artifact_digest}.onnx"]
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{free_port()}")
    np.testing.assert_array_equal(registered_scores(there, registered, VECTORS), SCORES)


@pytest.mark.integration
def test_a_damaged_file_is_mended_from_mlflow(there: Settings, registered: ModelContract) -> None:
    path = keep(there, registered, b"damaged")
    np.testing.assert_array_equal(registered_scores(there, registered, VECTORS), SCORES)
    assert path.read_bytes() == synthetic_model().onnx


@pytest.mark.integration
def test_another_mlflows_version_of_the_same_number_is_refused(there: Settings, registered: ModelContract) -> None:
    foreign = msgspec.structs.replace(registered, artifact_digest="0" * 64)
    with pytest.raises(RescoreError, match=r"is another artifact .* this MLflow did not register it"):
        registered_scores(there, foreign, VECTORS)
    assert not (there.home / "models").exists()


@pytest.mark.integration
def test_a_version_that_mlflow_does_not_have_is_named(there: Settings) -> None:
    with pytest.raises(RescoreError, match="no intact flight_delay version 9999"):
        registered_contract(there, MODEL, "9999")
