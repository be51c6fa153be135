"""Triton's model repository on disk, and the manifest of what is published in it."""

import fcntl
import json
import os
import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from orchestration.settings import Settings
from orchestration.training.onnx_model import digest, is_trees
from serving_gateway.contracts import ModelContract
from triton_models.backends import Backends
from triton_models.model_config import Served, model_files, model_of, trees_of, write_model

LOCK_TIMEOUT_S = 120.0
_POLL_S = 0.05


class DifferentArtifactError(Exception):
    """Something else already stands under this name; a published version never changes."""


class MissingTreesError(Exception):
    """A GPU serves trees by FIL, which needs them beside the artifact."""


class RepositoryBusyError(Exception):
    """Another process kept the lock; nothing was changed."""


@dataclass(frozen=True)
class Repository:
    """`models` is what Triton serves; every folder in it is a model, so `staging` lies outside, on the same disk.

    `backends` are those of the server that reads it. The trees of a model are a folder of their own, which comes and goes
    with the model's.
    """

    models: Path
    staging: Path
    manifest: Path
    backends: Backends = Backends.PYTHON

    @classmethod
    def of(cls, settings: Settings) -> "Repository":
        """The repository of the platform at `settings.home`."""
        models = settings.model_repository
        return cls(models, models.parent / "staging", settings.model_manifest, settings.triton_backends)

    @contextmanager
    def locked(self, timeout_s: float = LOCK_TIMEOUT_S) -> Iterator[None]:
        """One writer at a time, over processes; the lock ends with its process. Raises RepositoryBusyError."""
        self.models.mkdir(parents=True, exist_ok=True)
        path, deadline = self.manifest.parent / "publishing.lock", time.monotonic() + timeout_s
        with path.open("w") as lock:
            while not _taken(lock):
                if time.monotonic() >= deadline:
                    raise RepositoryBusyError(
                        f"another process has held {path} for {timeout_s:.0f} s: a publish, a retirement or a run that "
                        "names an arm. Nothing was changed; wait for it or stop it (lslocks shows it), then try again"
                    )
                time.sleep(_POLL_S)
            yield

    def published(self) -> list[str]:
        """Names in the manifest, sorted: what Triton loads when it starts."""
        return list(json.loads(self.manifest.read_text())) if self.manifest.exists() else []

    def has(self, name: str) -> bool:
        """Whether a folder of this name stands, published or left over."""
        return (self.models / name).exists()

    def digest_of(self, name: str) -> str | None:
        """Digest of the artifact in the model's folder; None where the folder or its artifact is missing."""
        artifact = self.models / name / "1" / "model.onnx"
        return digest(artifact.read_bytes()) if artifact.is_file() else None

    def names(self) -> list[str]:
        """Every model that is published or has a folder, sorted."""
        folders = [path.name for path in self.models.iterdir()] if self.models.exists() else []
        return sorted({*self.published(), *map(model_of, folders)})

    def set_published(self, names: Sequence[str]) -> None:
        """Replace the manifest in one step, so that a starting server never reads half of it."""
        draft = self.manifest.with_suffix(".tmp")
        with draft.open("w") as file:
            file.write(json.dumps(sorted(set(names))) + "\n")
            file.flush()
            os.fsync(file.fileno())
        draft.replace(self.manifest)

    def install(self, name: str, contract: ModelContract, onnx: bytes, trees: str | None = None) -> None:
        """Put the model in place, each folder in one step; with the same artifact there, only what is missing is added.

        `trees` is the booster of the ONNX model as LightGBM's text, of a recipe that makes trees.

        Raises:
            DifferentArtifactError: the folder holds another artifact, or none.
            MissingTreesError: the server has a GPU, and these trees were registered without their text.
            ModelConfigError: a name in the contract cannot stand in a configuration, or be a folder.
        """
        model = Served(name, len(contract.inputs), contract.input_tensor, contract.output_tensor)
        self._require_same(name, contract)
        if self.backends is Backends.GPU and trees is None and is_trees(onnx):
            raise MissingTreesError(
                "FIL needs its trees, and it was registered without them: train again, or have Triton and this command "
                "run with TRITON_BACKENDS=onnxruntime"
            )
        if not self.has(name):
            self.remove(name)  # trees that an interrupted publish left may be another artifact's
        for folder, files in model_files(model, onnx=onnx, trees=trees).items():
            target = self.models / folder
            if target.exists():
                write_model(target, files)
                continue
            draft = self._cleared(folder)
            write_model(draft, files)
            draft.rename(target)

    def remove(self, name: str) -> None:
        """Take the model's folders away, each in one step, those that are there, then delete them."""
        for folder in (name, trees_of(name)):
            if self.has(folder):
                (self.models / folder).rename(self._cleared(folder))
                shutil.rmtree(self.staging / folder)

    def _require_same(self, name: str, contract: ModelContract) -> None:
        """Raise DifferentArtifactError where the folder stands without the contract's artifact."""
        if not self.has(name):
            return
        standing = self.digest_of(name)
        if standing is None:
            raise DifferentArtifactError(
                f"{self.models / name} lacks 1/model.onnx: remove that folder, then publish again"
            )
        if standing != contract.artifact_digest:
            raise DifferentArtifactError(
                f"{name} already holds artifact {standing[:16]}, not {contract.artifact_digest[:16]}: "
                "register a new version"
            )

    def _cleared(self, name: str) -> Path:
        """Path in staging, free of what an interrupted publish may have left."""
        draft = self.staging / name
        if draft.exists():
            shutil.rmtree(draft)
        self.staging.mkdir(parents=True, exist_ok=True)
        return draft


def _taken(lock: IO[str]) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
