"""Publishing against a real Triton."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from threading import Event

import msgspec
import numpy as np
import pytest
from tritonclient import http

from orchestration.publishing.publish import Golden, PublishError, publish, unpublish
from orchestration.publishing.repository import Repository
from orchestration.settings import Settings
from orchestration.training.onnx_model import digest, score
from serving_gateway.contracts import ModelContract
from tests.servers import TritonServer, free_port, triton_server
from tests.synthetic import SyntheticModel, synthetic_model

NAME = "flight_delay_v1"


def golden_of(model: SyntheticModel) -> Golden:
    vectors = model.trained.samples.vectors[:200]
    return Golden(vectors, score(model.onnx, vectors))


def infer(address: str, name: str, vectors: np.ndarray) -> np.ndarray:
    with http.InferenceServerClient(address) as client:
        tensor = http.InferInput("features", list(vectors.shape), "FP32")
        tensor.set_data_from_numpy(vectors)
        return client.infer(name, [tensor]).as_numpy("score")


def loaded(address: str) -> list[str]:
    with http.InferenceServerClient(address) as client:
        return sorted(m["name"] for m in client.get_model_repository_index() if m.get("state") == "READY")


def server_ready(address: str) -> bool:
    with http.InferenceServerClient(address) as client:
        return client.is_server_ready()


def broken(model: SyntheticModel, onnx: bytes, version: str) -> ModelContract:
    return msgspec.structs.replace(model.contract, version=version, artifact_digest=digest(onnx))


@pytest.fixture
def repository(triton_home: Path) -> Repository:
    return Repository.of(Settings(home=triton_home))


@pytest.fixture
def published(triton: TritonServer, repository: Repository) -> Iterator[SyntheticModel]:
    model = synthetic_model()
    publish(model.contract, model.onnx, golden_of(model), repository=repository, grpc=triton.grpc)
    yield model
    unpublish(NAME, repository=repository, grpc=triton.grpc)


@pytest.mark.integration
def test_published_model_answers_as_onnx_runtime_does(triton: TritonServer, published: SyntheticModel) -> None:
    golden = golden_of(published)

    scores = infer(triton.http, NAME, golden.vectors)

    assert scores.shape == (200, 1)
    assert scores.dtype == np.float32
    assert np.isnan(golden.vectors).any()
    np.testing.assert_allclose(scores[:, 0], golden.scores, atol=1e-5)


@pytest.mark.integration
def test_the_server_runs_the_config_as_written(triton: TritonServer, published: SyntheticModel) -> None:
    with http.InferenceServerClient(triton.http) as client:
        config = client.get_model_config(NAME)

    assert config["max_batch_size"] == 1024
    assert "dynamic_batching" not in config


@pytest.mark.integration
def test_publishing_the_same_artifact_again_changes_nothing(
    triton: TritonServer, repository: Repository, published: SyntheticModel
) -> None:
    folder = repository.models / NAME
    before = folder.stat().st_mtime_ns

    name = publish(published.contract, published.onnx, golden_of(published), repository=repository, grpc=triton.grpc)

    assert name == NAME
    assert folder.stat().st_mtime_ns == before
    assert repository.published() == [NAME]


@pytest.mark.integration
def test_another_artifact_under_a_published_name_is_refused_and_the_first_still_serves(
    triton: TritonServer, repository: Repository, published: SyntheticModel
) -> None:
    other = synthetic_model(seed=8)

    with pytest.raises(PublishError, match="register a new version"):
        publish(other.contract, other.onnx, golden_of(other), repository=repository, grpc=triton.grpc)

    golden = golden_of(published)
    np.testing.assert_allclose(infer(triton.http, NAME, golden.vectors)[:, 0], golden.scores, atol=1e-5)


@pytest.fixture
def unseen(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is wrong with an artifact shows in Triton only."""
    monkeypatch.setattr("orchestration.publishing.publish.check_artifact", lambda _onnx, _contract: None)


@pytest.mark.integration
def test_what_triton_cannot_load_is_refused_and_leaves_nothing(
    triton: TritonServer, repository: Repository, published: SyntheticModel, unseen: None
) -> None:
    onnx = b"not a model"

    with pytest.raises(PublishError, match=r"flight_delay_v2 was not published: Triton could not load"):
        publish(broken(published, onnx, "2"), onnx, golden_of(published), repository=repository, grpc=triton.grpc)

    assert [p.name for p in repository.models.iterdir()] == [NAME]
    assert list(repository.staging.iterdir()) == []
    assert repository.published() == [NAME]
    assert loaded(triton.http) == [NAME]
    assert server_ready(triton.http)


@pytest.mark.integration
def test_model_with_other_answers_than_the_golden_is_refused_and_unloaded(
    triton: TritonServer, repository: Repository, published: SyntheticModel
) -> None:
    golden = golden_of(published)
    wrong = replace(golden, scores=golden.scores + np.float32(2e-5))
    contract = msgspec.structs.replace(published.contract, version="2")

    with pytest.raises(PublishError, match="golden scores differ by 2"):
        publish(contract, published.onnx, wrong, repository=repository, grpc=triton.grpc)

    assert loaded(triton.http) == repository.published() == [NAME]


@pytest.mark.integration
def test_a_published_model_survives_a_failed_check(
    triton: TritonServer, repository: Repository, published: SyntheticModel
) -> None:
    golden = golden_of(published)
    wrong = replace(golden, scores=np.full_like(golden.scores, np.nan))

    with pytest.raises(PublishError, match="golden scores differ by nan"):
        publish(published.contract, published.onnx, wrong, repository=repository, grpc=triton.grpc)

    assert loaded(triton.http) == repository.published() == [NAME]


@pytest.mark.integration
def test_publishing_and_unpublishing_another_version_costs_the_served_one_no_request(
    triton: TritonServer, repository: Repository, published: SyntheticModel
) -> None:
    golden = golden_of(published)
    contract = msgspec.structs.replace(published.contract, version="2")
    done = Event()

    def keep_asking() -> int:
        asked = 0
        while not done.is_set():
            np.testing.assert_allclose(infer(triton.http, NAME, golden.vectors)[:, 0], golden.scores, atol=1e-5)
            asked += 1
        return asked

    with ThreadPoolExecutor(2) as pool:
        callers = [pool.submit(keep_asking) for _ in range(2)]
        try:
            name = publish(contract, published.onnx, golden, repository=repository, grpc=triton.grpc)
            unpublish(name, repository=repository, grpc=triton.grpc)
        finally:
            done.set()
        assert all(caller.result() > 0 for caller in callers)


@pytest.mark.integration
@pytest.mark.parametrize("manifest", [None, "[]"], ids=["lost", "emptied"])
def test_without_the_manifest_what_is_served_stays_ready_and_is_listed_again(
    triton: TritonServer, repository: Repository, published: SyntheticModel, manifest: str | None
) -> None:
    golden = golden_of(published)
    second = msgspec.structs.replace(published.contract, version="2")
    publish(second, published.onnx, golden, repository=repository, grpc=triton.grpc)
    repository.manifest.unlink()
    if manifest is not None:
        repository.manifest.write_text(manifest)
    done, seen = Event(), set[tuple[str, ...]]()

    def watch() -> None:
        while not done.is_set():
            seen.add(tuple(loaded(triton.http)))

    with ThreadPoolExecutor(1) as pool:
        watching = pool.submit(watch)
        try:
            publish(published.contract, published.onnx, golden, repository=repository, grpc=triton.grpc)
        finally:
            done.set()
        watching.result()

    assert seen == {(NAME, "flight_delay_v2")}
    assert repository.published() == ([NAME, "flight_delay_v2"] if manifest is None else [NAME])
    unpublish("flight_delay_v2", repository=repository, grpc=triton.grpc)


@pytest.mark.integration
def test_a_published_folder_without_its_artifact_is_named_with_what_to_do(
    triton: TritonServer, repository: Repository, published: SyntheticModel
) -> None:
    (repository.models / NAME / "1" / "model.onnx").unlink()

    with pytest.raises(PublishError, match=f"{NAME} lacks 1/model.onnx: remove that folder"):
        publish(published.contract, published.onnx, golden_of(published), repository=repository, grpc=triton.grpc)

    assert loaded(triton.http) == [NAME]


@pytest.mark.integration
def test_unpublish_leaves_nothing_and_is_repeatable(triton: TritonServer, repository: Repository) -> None:
    model = synthetic_model()
    publish(model.contract, model.onnx, golden_of(model), repository=repository, grpc=triton.grpc)

    unpublish(NAME, repository=repository, grpc=triton.grpc)
    unpublish(NAME, repository=repository, grpc=triton.grpc)

    assert loaded(triton.http) == repository.published() == list(repository.models.iterdir()) == []
    assert server_ready(triton.http)


@pytest.mark.integration
def test_a_restarted_server_serves_what_the_manifest_names(tmp_path: Path) -> None:
    model, repository = synthetic_model(), Repository.of(Settings(home=tmp_path))
    golden = golden_of(model)
    with triton_server(tmp_path) as server:
        publish(model.contract, model.onnx, golden, repository=repository, grpc=server.grpc)

    with triton_server(tmp_path) as server:
        assert loaded(server.http) == [NAME]
        np.testing.assert_allclose(infer(server.http, NAME, golden.vectors)[:, 0], golden.scores, atol=1e-5)


@pytest.mark.integration
def test_a_restart_with_one_unloadable_model_serves_the_others_and_does_not_call_itself_ready(tmp_path: Path) -> None:
    model, repository = synthetic_model(), Repository.of(Settings(home=tmp_path))
    with repository.locked():
        repository.install(NAME, model.contract, model.onnx)
        repository.install("flight_delay_v2", broken(model, b"", "2"), b"")
        repository.set_published([NAME, "flight_delay_v2", "flight_delay_v3"])

    with triton_server(tmp_path, until="live") as server:
        assert loaded(server.http) == [NAME]
        assert not server_ready(server.http)


@pytest.mark.integration
def test_a_refused_version_gets_in_with_the_right_artifact(
    triton: TritonServer, repository: Repository, published: SyntheticModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as unseen:
        unseen.setattr("orchestration.publishing.publish.check_artifact", lambda _onnx, _contract: None)
        with pytest.raises(PublishError, match="Triton could not load"):
            publish(broken(published, b"x", "2"), b"x", golden_of(published), repository=repository, grpc=triton.grpc)
    contract = msgspec.structs.replace(published.contract, version="2")

    name = publish(contract, published.onnx, golden_of(published), repository=repository, grpc=triton.grpc)

    assert loaded(triton.http) == repository.published() == [NAME, name]
    unpublish(name, repository=repository, grpc=triton.grpc)


def test_without_a_server_nothing_is_left_and_the_error_says_where_it_looked(tmp_path: Path) -> None:
    model, repository = synthetic_model(), Repository.of(Settings(home=tmp_path))
    address = f"127.0.0.1:{free_port()}"

    with pytest.raises(PublishError, match=f"no Triton answers at {address}"):
        publish(model.contract, model.onnx, golden_of(model), repository=repository, grpc=address, timeout_s=2)

    assert list(repository.models.iterdir()) == repository.published() == []


Change = Callable[[SyntheticModel], tuple[ModelContract, bytes]]


def swapped(model: SyntheticModel) -> tuple[ModelContract, bytes]:
    first, second, *rest = model.contract.inputs
    return msgspec.structs.replace(model.contract, inputs=(second, first, *rest)), model.onnx


# What is wrong -> the reason that is given.
REFUSED: dict[str, Change] = {
    "not the artifact that the contract of version 1 names": lambda m: (m.contract, m.onnx[:-1]),
    "not a valid ONNX model": lambda m: (broken(m, m.onnx[:100], "1"), m.onnx[:100]),
    r"its input must be features tensor\(float\) \[n, 25\]": lambda m: (
        msgspec.structs.replace(m.contract, inputs=m.contract.inputs[1:]),
        m.onnx,
    ),
    "its output must be risk": lambda m: (msgspec.structs.replace(m.contract, output_tensor="risk"), m.onnx),
    r"in another order: inputs\[0\] is s_carrier, not s_origin": swapped,
    r"the model's name must be of letters.*got '\.\./evil_v1'": lambda m: (
        msgspec.structs.replace(m.contract, model="../evil"),
        m.onnx,
    ),
}


@pytest.mark.integration
@pytest.mark.parametrize("reason", REFUSED)
def test_a_broken_artifact_or_another_signature_is_refused_with_the_reason_and_nothing_changes(
    triton: TritonServer, repository: Repository, reason: str
) -> None:
    model = synthetic_model()
    contract, onnx = REFUSED[reason](model)

    with pytest.raises(PublishError, match=f"_v1 was not published: .*{reason}"):
        publish(contract, onnx, golden_of(model), repository=repository, grpc=triton.grpc)

    assert repository.names() == loaded(triton.http) == []
    assert server_ready(triton.http)


def test_golden_without_rows_is_no_check() -> None:
    with pytest.raises(ValueError, match="a row at least"):
        Golden(np.empty((0, 26), np.float32), np.empty(0, np.float32))
