import json
import multiprocessing
from pathlib import Path

import pytest

from orchestration.publishing.repository import DifferentArtifactError, Repository, RepositoryBusyError
from orchestration.settings import Settings
from tests.synthetic import synthetic_model


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    found = Repository.of(Settings(home=tmp_path))
    found.models.mkdir(parents=True)
    return found


def test_staging_lies_outside_what_triton_reads(repository: Repository) -> None:
    assert not repository.staging.is_relative_to(repository.models)
    assert not repository.manifest.is_relative_to(repository.models)


def test_install_leaves_exactly_one_model_folder(repository: Repository) -> None:
    model = synthetic_model()
    repository.install("m_v1", model.contract, model.onnx)
    repository.install("m_v1", model.contract, model.onnx)

    assert [p.name for p in repository.models.iterdir()] == ["m_v1"]
    assert list(repository.staging.iterdir()) == []


def test_other_artifact_under_the_same_name_is_refused_and_the_standing_one_kept(repository: Repository) -> None:
    first, other = synthetic_model(), synthetic_model(seed=8)
    repository.install("m_v1", first.contract, first.onnx)

    with pytest.raises(DifferentArtifactError, match="register a new version"):
        repository.install("m_v1", other.contract, other.onnx)

    assert (repository.models / "m_v1" / "1" / "model.onnx").read_bytes() == first.onnx


def test_leftovers_of_an_interrupted_publish_do_not_get_in(repository: Repository) -> None:
    model = synthetic_model()
    leftover = repository.staging / "m_v1" / "1"
    leftover.mkdir(parents=True)
    (leftover / "half").write_text("half")

    repository.install("m_v1", model.contract, model.onnx)

    assert sorted(p.name for p in (repository.models / "m_v1" / "1").iterdir()) == ["model.onnx", "model.py"]


def test_remove_takes_the_folder_and_is_repeatable(repository: Repository) -> None:
    model = synthetic_model()
    repository.install("m_v1", model.contract, model.onnx)
    repository.remove("m_v1")
    repository.remove("m_v1")

    assert list(repository.models.iterdir()) == list(repository.staging.iterdir()) == []


def test_manifest_is_a_sorted_json_list_without_repeats(repository: Repository) -> None:
    assert repository.published() == []
    repository.set_published(["b", "a", "b"])

    assert json.loads(repository.manifest.read_text()) == repository.published() == ["a", "b"]
    assert [p.name for p in repository.manifest.parent.iterdir() if p.suffix == ".tmp"] == []


def add(repository: Repository, name: str) -> None:
    with repository.locked():
        repository.set_published([*repository.published(), name])


def test_writers_in_several_processes_lose_no_name(repository: Repository) -> None:
    context = multiprocessing.get_context("fork")
    writers = [context.Process(target=add, args=(repository, f"m{i}")) for i in range(8)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(timeout=30)

    assert repository.published() == [f"m{i}" for i in range(8)]


def test_a_lock_that_another_holds_is_given_up_with_its_path(repository: Repository) -> None:
    busy = pytest.raises(RepositoryBusyError, match=r"publishing\.lock for 0 s: a publish")
    with repository.locked(), busy, repository.locked(timeout_s=0.1):
        pass
