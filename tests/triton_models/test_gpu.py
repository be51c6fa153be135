"""Publishing to a Triton that has a GPU: the same scores as on a CPU, and how many.

`docs/gpu.md` says how to start one. Run with `-s` it shows the table.
"""

import os
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from tritonclient import grpc

from orchestration.publishing.publish import TOLERANCE, Golden, publish, unpublish
from orchestration.publishing.repository import Repository
from orchestration.publishing.triton import Triton
from orchestration.settings import Settings
from orchestration.training.contract import build_contract
from orchestration.training.onnx_model import score, session
from orchestration.training.recipes import RECIPES, RecipeName
from tests.synthetic import START, synthetic_inputs, synthetic_samples
from triton_models.backends import Backends
from triton_models.model_config import trees_of

HOME, GRPC = os.environ.get("TRITON_GPU_HOME"), os.environ.get("TRITON_GPU_GRPC", "")
BATCHES = (1, 64, 1024)
SECONDS = 1.0
RECIPE_NAMES = {RecipeName.lightgbm: "gpu_check_v1", RecipeName.network: "gpu_check_v2"}

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(
        not (HOME and GRPC),
        reason="no Triton with a GPU: start one as docs/gpu.md says, then set TRITON_GPU_HOME and TRITON_GPU_GRPC",
    ),
]


@pytest.fixture(scope="module")
def published() -> Iterator[dict[RecipeName, bytes]]:
    """The artifact of each recipe as it is, published to the GPU's Triton."""
    repository = Repository.of(Settings(home=Path(HOME or ""), triton_backends=Backends.GPU))
    samples, inputs, made = synthetic_samples(), synthetic_inputs(), {}
    days = {"training_start": START, "training_end": START + timedelta(days=10)}
    try:
        for recipe, name in RECIPE_NAMES.items():
            fitted = RECIPES[recipe](samples, inputs)
            version = name.rpartition("_v")[2]
            contract = build_contract(fitted.onnx, version=version, run_id="0" * 32, inputs=inputs, views=(), **days)
            contract = msgspec.structs.replace(contract, model="gpu_check")
            golden = Golden(samples.vectors[:64], score(fitted.onnx, samples.vectors[:64]))
            publish(contract, fitted.onnx, golden, repository=repository, grpc=GRPC, trees=fitted.trees)
            made[recipe] = fitted.onnx
        yield made
    finally:
        for name in RECIPE_NAMES.values():
            unpublish(name, repository=repository, grpc=GRPC)


def ask(triton: Triton, recipe: RecipeName, vectors: np.ndarray) -> np.ndarray:
    name = RECIPE_NAMES[recipe]
    return triton.score(name, vectors, input_tensor="features", output_tensor="score")[:, 0]


def test_every_model_that_scores_is_on_a_gpu(published: dict[RecipeName, bytes]) -> None:
    with grpc.InferenceServerClient(GRPC) as client:
        for name in (trees_of(RECIPE_NAMES[RecipeName.lightgbm]), RECIPE_NAMES[RecipeName.network]):
            groups: Any = client.get_model_config(name, as_json=True)["config"]["instance_group"]
            assert [group["kind"] for group in groups] == ["KIND_GPU"]
            assert groups[0]["gpus"]


@pytest.mark.parametrize("recipe", RECIPE_NAMES)
@pytest.mark.parametrize("batch", BATCHES)
def test_a_gpu_scores_as_a_cpu_does(published: dict[RecipeName, bytes], recipe: RecipeName, batch: int) -> None:
    vectors = synthetic_samples().vectors[-batch:]
    with Triton.connect(GRPC, timeout_s=30) as triton:
        scores = ask(triton, recipe, vectors)

    np.testing.assert_allclose(scores, score(published[recipe], vectors), atol=TOLERANCE, rtol=0)


def test_how_many_rows_a_second(published: dict[RecipeName, bytes], capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing is asked of the figures but that there are some: GPUs differ. The CPU is one thread without a server."""
    lines = ["", f"{'rows a second':20}" + "".join(f"{f'batch {batch}':>14}" for batch in BATCHES)]
    with Triton.connect(GRPC, timeout_s=30) as triton:
        for recipe in RECIPE_NAMES:
            on_cpu = session(published[recipe])
            ways: dict[str, Callable[[np.ndarray], object]] = {
                "GPU": partial(ask, triton, recipe),
                "CPU": lambda vectors, cpu=on_cpu: cpu.run(["score"], {"features": vectors}),
            }
            for device, scored in ways.items():
                rates = [rows_a_second(scored, synthetic_samples().vectors[:batch]) for batch in BATCHES]
                lines.append(f"{f'{recipe.value}, {device}':20}" + "".join(f"{rate:14,.0f}" for rate in rates))
                assert min(rates) > 0
    with capsys.disabled():
        print("\n".join(lines))


def rows_a_second(scored: Callable[[np.ndarray], object], vectors: np.ndarray) -> float:
    scored(vectors)
    began, asked = time.perf_counter(), 0
    while (elapsed := time.perf_counter() - began) < SECONDS:
        scored(vectors)
        asked += 1
    return asked * len(vectors) / elapsed
