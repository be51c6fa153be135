"""Publishing to servers with other backends, against a real Triton whose missing backends are stood in for (image.py)."""

from collections.abc import Iterator
from datetime import timedelta
from functools import cache
from pathlib import Path

import msgspec
import numpy as np
import pytest
from tritonclient import http

from orchestration.publishing.publish import Golden, PublishError, publish, unpublish
from orchestration.publishing.repository import Repository
from orchestration.settings import Settings
from orchestration.training import network_recipe
from orchestration.training.contract import build_contract
from orchestration.training.lightgbm_onnx import to_text
from orchestration.training.onnx_model import score
from serving_gateway.contracts import ModelContract
from tests.servers import TritonServer, triton_server
from tests.synthetic import START, synthetic_inputs, synthetic_model, synthetic_samples
from tests.triton_models.image import image, image_server
from triton_models.backends import Backends

TREES, NETWORK = "flight_delay_v1", "flight_delay_v2"
VECTORS = synthetic_samples().vectors[:200]


@cache
def network() -> tuple[ModelContract, bytes]:
    onnx = network_recipe.fit(synthetic_samples(), synthetic_inputs()).onnx
    days = {"training_start": START, "training_end": START + timedelta(days=10)}
    made = build_contract(onnx, version="2", run_id="0" * 32, inputs=synthetic_inputs(), views=(), **days)
    return made, onnx


def text() -> str:
    return to_text(synthetic_model().trained.booster)


def publish_trees(repository: Repository, grpc: str, *, trees: str | None, golden: Golden | None = None) -> str:
    model = synthetic_model()
    known = golden or Golden(VECTORS, score(model.onnx, VECTORS))
    return publish(model.contract, model.onnx, known, repository=repository, grpc=grpc, trees=trees)


def publish_network(repository: Repository, grpc: str) -> str:
    contract, onnx = network()
    return publish(contract, onnx, Golden(VECTORS, score(onnx, VECTORS)), repository=repository, grpc=grpc)


def repository_of(home: Path, backends: Backends) -> Repository:
    return Repository.of(Settings(home=home, triton_backends=backends))


def served(address: str) -> dict[str, str]:
    """Ready models and their backend or platform."""
    with http.InferenceServerClient(address) as client:
        ready = [m["name"] for m in client.get_model_repository_index() if m.get("state") == "READY"]
        configs = {name: client.get_model_config(name) for name in sorted(ready)}
    return {name: config["backend"] or config["platform"] for name, config in configs.items()}


def server_ready(address: str) -> bool:
    with http.InferenceServerClient(address) as client:
        return client.is_server_ready()


def answers(address: str, name: str) -> np.ndarray:
    with http.InferenceServerClient(address) as client:
        tensor = http.InferInput("features", list(VECTORS.shape), "FP32")
        tensor.set_data_from_numpy(VECTORS)
        return client.infer(name, [tensor]).as_numpy("score")[:, 0]


@pytest.fixture(scope="module")
def like_nvidias(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return image(tmp_path_factory.mktemp("opt") / "tritonserver")


@pytest.fixture(scope="module")
def no_gpu_needed() -> Iterator[None]:
    """Triton refuses KIND_GPU on a machine without one; the rest of the configuration is as it is for a GPU."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("triton_models.model_config._GPU", {"count": 1, "kind": "KIND_CPU"})
        yield


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("a platform")


@pytest.fixture(scope="module")
def gpu(home: Path, like_nvidias: Path, no_gpu_needed: None) -> Iterator[TritonServer]:
    with image_server(home, like_nvidias, Backends.GPU) as server:
        yield server


@pytest.fixture
def repository(home: Path, gpu: TritonServer) -> Iterator[Repository]:
    found = repository_of(home, Backends.GPU)
    yield found
    for name in found.names():
        unpublish(name, repository=found, grpc=gpu.grpc)


@pytest.mark.integration
def test_a_gpus_server_answers_by_fil_for_trees_and_by_onnx_runtime_for_the_network(
    gpu: TritonServer, repository: Repository
) -> None:
    assert publish_trees(repository, gpu.grpc, trees=text()) == TREES
    assert publish_network(repository, gpu.grpc) == NETWORK

    assert repository.published() == repository.names() == [TREES, NETWORK]
    assert served(gpu.http) == {TREES: "ensemble", f"{TREES}_trees": "fil", NETWORK: "onnxruntime"}
    np.testing.assert_allclose(answers(gpu.http, TREES), score(synthetic_model().onnx, VECTORS), atol=1e-5, rtol=0)
    np.testing.assert_allclose(answers(gpu.http, NETWORK), score(network()[1], VECTORS), atol=1e-5, rtol=0)


@pytest.mark.integration
def test_unpublishing_takes_the_trees_along(gpu: TritonServer, repository: Repository) -> None:
    publish_trees(repository, gpu.grpc, trees=text())
    unpublish(TREES, repository=repository, grpc=gpu.grpc)

    assert served(gpu.http) == {}
    assert list(repository.models.iterdir()) == list(repository.staging.iterdir()) == repository.published() == []
    assert server_ready(gpu.http)


@pytest.mark.integration
@pytest.mark.parametrize("wrong", ["another model's", "no"])
def test_trees_that_are_not_the_artifacts_are_refused_and_leave_nothing(
    gpu: TritonServer, repository: Repository, wrong: str
) -> None:
    publish_network(repository, gpu.grpc)
    trees = to_text(synthetic_model(seed=8).trained.booster) if wrong == "another model's" else "no trees"
    reason = "golden scores differ" if wrong == "another model's" else "Triton could not load"

    with pytest.raises(PublishError, match=f"{TREES} was not published: {reason}"):
        publish_trees(repository, gpu.grpc, trees=trees)

    assert served(gpu.http) == {NETWORK: "onnxruntime"}
    assert [p.name for p in repository.models.iterdir()] == [NETWORK]
    assert server_ready(gpu.http)
    assert publish_trees(repository, gpu.grpc, trees=text()) == TREES  # the right ones get in afterwards


@pytest.mark.integration
def test_trees_registered_without_their_text_are_refused_with_what_to_do(
    gpu: TritonServer, repository: Repository
) -> None:
    with pytest.raises(PublishError, match=r"FIL needs its trees.*train again, or.*TRITON_BACKENDS=onnxruntime"):
        publish_trees(repository, gpu.grpc, trees=None)

    assert repository.names() == []


@pytest.mark.integration
def test_a_lost_manifest_is_found_again_without_the_trees_as_a_model(gpu: TritonServer, repository: Repository) -> None:
    publish_trees(repository, gpu.grpc, trees=text())
    repository.manifest.unlink()

    publish_network(repository, gpu.grpc)

    assert repository.published() == [TREES, NETWORK]


@pytest.mark.integration
def test_one_repository_serves_whichever_server_starts_on_it(
    tmp_path: Path, like_nvidias: Path, no_gpu_needed: None
) -> None:
    expected = {TREES: score(synthetic_model().onnx, VECTORS), NETWORK: score(network()[1], VECTORS)}
    with triton_server(tmp_path) as server:
        publish_trees(repository_of(tmp_path, Backends.PYTHON), server.grpc, trees=text())
        publish_network(repository_of(tmp_path, Backends.PYTHON), server.grpc)
        assert served(server.http) == {TREES: "python", NETWORK: "python"}

    wanted = {
        Backends.ONNXRUNTIME: {TREES: "onnxruntime", NETWORK: "onnxruntime"},
        Backends.GPU: {TREES: "ensemble", f"{TREES}_trees": "fil", NETWORK: "onnxruntime"},
    }
    for backends, models in wanted.items():
        with image_server(tmp_path, like_nvidias, backends) as server:
            assert served(server.http) == models
            for name, scores in expected.items():
                np.testing.assert_allclose(answers(server.http, name), scores, atol=1e-5, rtol=0)


@pytest.mark.integration
def test_what_was_published_before_there_were_configurations_gets_them_when_it_is_published_again(
    gpu: TritonServer, repository: Repository
) -> None:
    publish_trees(repository, gpu.grpc, trees=text())
    configs = repository.models / TREES / "configs"
    for file in configs.iterdir():
        file.unlink()
    configs.rmdir()

    publish_trees(repository, gpu.grpc, trees=text())

    assert sorted(file.name for file in configs.iterdir()) == ["gpu.pbtxt", "onnxruntime.pbtxt"]


def test_trees_that_an_interrupted_publish_left_do_not_get_in(tmp_path: Path) -> None:
    found, model = repository_of(tmp_path, Backends.GPU), synthetic_model()
    left = found.models / f"{TREES}_trees" / "1"
    left.mkdir(parents=True)
    (left / "model.txt").write_text("another's")

    assert found.names() == [TREES]  # retirement would find it
    found.install(TREES, model.contract, model.onnx, text())

    assert (left / "model.txt").read_text() == text()


def test_without_a_gpu_trees_need_no_text(tmp_path: Path) -> None:
    model = synthetic_model()
    for backends in (Backends.PYTHON, Backends.ONNXRUNTIME):
        found = repository_of(tmp_path / backends, backends)
        with found.locked():
            found.install(TREES, model.contract, model.onnx)
        assert found.names() == [TREES]


def test_a_name_that_no_configuration_can_hold_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    model = synthetic_model()
    contract = msgspec.structs.replace(model.contract, input_tensor="a b")
    with pytest.raises(ValueError, match="the input tensor's name"):
        repository_of(tmp_path, Backends.GPU).install(TREES, contract, model.onnx, text())
    assert list(tmp_path.rglob("config.pbtxt")) == []
