"""Publish a registered model to Triton, or take it back.

The rollout may name a model only after `publish` returned: it is loaded, warm, and has answered the golden request.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from orchestration.publishing.repository import DifferentArtifactError, MissingTreesError, Repository
from orchestration.publishing.triton import Triton, TritonError
from orchestration.training.artifact import ArtifactError, check_artifact
from orchestration.training.contract import triton_name
from serving_gateway.contracts import ModelContract
from triton_models.model_config import ModelConfigError

TOLERANCE = 1e-5
WARM_UP_REQUESTS = 5


class PublishError(Exception):
    """The model was not published; what was served before is served still."""


@dataclass(frozen=True)
class Golden:
    """Known answers: `vectors` float32 [n, k] (n at most 1024) and ONNX Runtime's `scores` of them, float32 [n]."""

    vectors: NDArray[np.float32]
    scores: NDArray[np.float32]

    def __post_init__(self) -> None:
        if not 0 < len(self.vectors) == len(self.scores):
            raise ValueError(
                f"golden needs a score a row and a row at least: {self.vectors.shape}, {self.scores.shape}"
            )


def publish(
    contract: ModelContract,
    onnx: bytes,
    golden: Golden,
    *,
    repository: Repository,
    grpc: str,
    trees: str | None = None,
    timeout_s: float = 60.0,
) -> str:
    """Stage, load, check and list one model version; returns the name Triton serves it under.

    `grpc` is host:port of the server, `timeout_s` bounds each call to it; `trees` is what FIL serves in the ONNX graph's
    place where the server has a GPU, and the golden request the proof that it scores the same. Publishing the same artifact again checks
    it again and changes nothing. A model that fails on its way in is unloaded and its folder removed; one that was
    published before stays, whatever this check says: it may be serving. What a publish that was killed left under this
    name is cleared away first; Triton's ready model of this very artifact is no such leftover.

    Raises:
        PublishError: the artifact is broken or not what the contract says, the contract holds a name that Triton's
            configuration cannot, its trees are missing where FIL needs them, another artifact has this name, Triton refused it or cannot be reached, or its answers
            are not the golden ones.
        RepositoryBusyError: another process kept the repository's lock.
    """
    name = triton_name(contract)
    try:
        check_artifact(onnx, contract)
    except ArtifactError as error:
        raise PublishError(f"{name} was not published: {error}") from error
    with repository.locked(), Triton.connect(grpc, timeout_s=timeout_s) as triton:
        try:
            triton.require_live()
            published = _published(triton, repository)
            if name not in published and repository.has(name) and not _serves(triton, name, repository, contract):
                _clear(triton, name, repository)
            repository.install(name, contract, onnx, trees)
        except (DifferentArtifactError, MissingTreesError, ModelConfigError, TritonError) as error:
            raise PublishError(f"{name} was not published: {error}") from error
        try:
            triton.load(name)
            _check(triton, name, contract, golden)
        except (TritonError, PublishError) as error:
            if name not in published:
                _withdraw(triton, name, repository)
            raise PublishError(f"{name} was not published: {error}") from error
        repository.set_published([*published, name])
    return name


def unpublish(name: str, *, repository: Repository, grpc: str, timeout_s: float = 60.0) -> None:
    """Take a model off the manifest, out of Triton and off the disk; afterwards it is gone, whatever was there before.

    Raises:
        PublishError: Triton cannot be reached. The manifest is changed already, so a second try finishes the work.
        RepositoryBusyError: another process kept the repository's lock.
    """
    with repository.locked(), Triton.connect(grpc, timeout_s=timeout_s) as triton:
        take_down([name], triton=triton, repository=repository)


def take_down(names: Sequence[str], *, triton: Triton, repository: Repository) -> None:
    """`unpublish` for whoever holds the repository's lock, and for several models. Raises PublishError as it does."""
    published = repository.published()
    if set(names) & set(published):
        repository.set_published([other for other in published if other not in names])
    for name in names:
        try:
            _clear(triton, name, repository)
        except TritonError as error:
            raise PublishError(f"{name} is off the manifest but was not unloaded: {error}") from error


def _published(triton: Triton, repository: Repository) -> list[str]:
    """The manifest's names. Where the manifest is lost, what Triton has ready of the repository: it may be serving."""
    if repository.manifest.exists():
        return repository.published()
    return [name for name in triton.ready() if repository.has(name)]


def _serves(triton: Triton, name: str, repository: Repository, contract: ModelContract) -> bool:
    return repository.digest_of(name) == contract.artifact_digest and name in triton.ready()


def _clear(triton: Triton, name: str, repository: Repository) -> None:
    triton.unload(name)
    repository.remove(name)


def _check(triton: Triton, name: str, contract: ModelContract, golden: Golden) -> None:
    """Ask for the golden rows as one batch, then some of them alone; the repeats warm the model up."""

    def ask(vectors: NDArray[np.float32], expected: NDArray[np.float32]) -> None:
        scores = triton.score(name, vectors, input_tensor=contract.input_tensor, output_tensor=contract.output_tensor)
        _compare(scores, expected)

    ask(golden.vectors, golden.scores)
    for row in range(min(WARM_UP_REQUESTS, len(golden.vectors))):
        ask(golden.vectors[row : row + 1], golden.scores[row : row + 1])


def _compare(scores: NDArray[np.float32], expected: NDArray[np.float32]) -> None:
    if scores.shape != (len(expected), 1):
        raise PublishError(f"scores have shape {scores.shape}, wanted {(len(expected), 1)}")
    answered = scores[:, 0]
    if not (np.isfinite(answered) & (answered >= 0) & (answered <= 1)).all():
        raise PublishError(f"scores must be probabilities from 0 to 1, got {answered.min()} to {answered.max()}")
    worst = float(np.abs(answered - expected).max())
    if not worst <= TOLERANCE:
        raise PublishError(f"golden scores differ by {worst:.1e}, allowed {TOLERANCE:.0e}")


def _withdraw(triton: Triton, name: str, repository: Repository) -> None:
    """Leave nothing behind. The folder goes even if the server died meanwhile: its next start loads only the manifest."""
    try:
        triton.unload(name)
    except TritonError as error:
        raise PublishError(f"{name} failed its check and could not be unloaded: {error}") from error
    finally:
        repository.remove(name)
