"""Triton's configurations of a published model, one for each choice of backends, and the files of its folder.

A server reads `configs/<its choice>.pbtxt` (`--model-config-name`), and `config.pbtxt` where there is none: one repository
serves every kind of server, and whoever publishes need not know which. See "Custom Model Configuration" in
https://github.com/triton-inference-server/server/blob/main/docs/user_guide/model_configuration.md
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from triton_models.backends import Backends

BACKEND = Path(__file__).resolve().parent / "model.py"
MAX_BATCH_SIZE = 1024
# FIL knows its tensors by no other names.
FIL_INPUT, FIL_OUTPUT = "input__0", "output__0"

_CPU = {"count": 1, "kind": "KIND_CPU"}
_GPU = {"count": 1, "kind": "KIND_GPU"}  # one instance on each GPU that the server sees
_TREES = "_trees"
# What can stand between quotes, and be a folder inside the repository.
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")


class ModelConfigError(ValueError):
    """No configuration can be written for this model; the message names the field."""


@dataclass(frozen=True)
class Served:
    """A model as its callers see it: FP32 [n, `width`] in, FP32 [n, 1] out, n up to `MAX_BATCH_SIZE`.

    Raises ModelConfigError where a name has other characters than letters, digits, `_`, `-` and `.`, or there is no input.
    """

    name: str
    width: int
    input_tensor: str = "features"
    output_tensor: str = "score"

    def __post_init__(self) -> None:
        names = (("model", self.name), ("input tensor", self.input_tensor), ("output tensor", self.output_tensor))
        for what, text in names:
            if not _NAME.fullmatch(text):
                raise ModelConfigError(f"the {what}'s name must be of letters, digits, `_`, `-` and `.`, got {text!r}")
        if self.width < 1:
            raise ModelConfigError(f"{self.name} has no input")


def trees_of(name: str) -> str:
    """The Triton model that holds the trees of the model `name`, where FIL serves them."""
    return name + _TREES


def model_of(name: str) -> str:
    """The model that this Triton model serves: the one whose trees it holds, else itself.

    A published name ends with its version, so it is never taken for another's trees.
    """
    return name.removesuffix(_TREES)


def is_part(name: str) -> bool:
    """Whether this Triton model only serves inside another."""
    return model_of(name) != name


def render_configs(model: Served, *, trees: bool) -> dict[Backends, str]:
    """Text of the model's configuration for each kind of server; `trees`: FIL serves its trees on a GPU."""
    on_gpu = _ensemble(model) if trees else _onnxruntime_on_gpu(model)
    return {
        Backends.PYTHON: _text(_single(model, backend="python", instance_group=[_CPU])),
        Backends.ONNXRUNTIME: _text(_onnxruntime(model, instance_group=[_CPU])),
        Backends.GPU: _text(on_gpu),
    }


def render_trees(model: Served) -> str:
    """Text of the configuration of `trees_of(model.name)`: FIL on a GPU.

    Parameters: https://github.com/triton-inference-server/fil_backend/blob/main/docs/model_config.md. `is_classifier` and
    `predict_proba` make the output P(label = 1), one column for a binary model. The backend wants a classifier's
    `threshold`, and uses it for classes, never for probabilities. `layout` and `chunk_size` stay at their defaults until
    somebody has measured better ones.
    """
    inside = Served(trees_of(model.name), model.width, FIL_INPUT, FIL_OUTPUT)
    parameters = {"model_type": "lightgbm", "is_classifier": "true", "predict_proba": "true", "threshold": "0.5"}
    return _text(_single(inside, backend="fil", instance_group=[_GPU], parameters=_parameters(parameters)))


def write_model(folder: Path, files: Mapping[str, str | bytes]) -> None:
    """Write the files by their path below `folder`; one that is there stays as it is."""
    for path, content in files.items():
        target = folder / path
        if target.exists():
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        draft = target.with_name(f".{target.name}")
        draft.write_bytes(content.encode() if isinstance(content, str) else content)
        draft.replace(target)


def model_files(model: Served, *, onnx: bytes, trees: str | None) -> dict[str, dict[str, str | bytes]]:
    """Triton model to its files, by path below its folder; the one that callers name comes last.

    `trees` is the booster of the ONNX model as LightGBM's text. The folder names the artifact, `1/model.onnx`, even where
    another model serves its trees.
    """
    configs = render_configs(model, trees=trees is not None)
    answering: dict[str, str | bytes] = {
        "config.pbtxt": configs[Backends.PYTHON],
        **{f"configs/{b}.pbtxt": text for b, text in configs.items() if b is not Backends.PYTHON},
        "1/model.onnx": onnx,
        "1/model.py": BACKEND.read_text(),
    }
    if trees is None:
        return {model.name: answering}
    inside: dict[str, str | bytes] = {"config.pbtxt": render_trees(model), "1/model.txt": trees}
    return {trees_of(model.name): inside, model.name: answering}


def _onnxruntime(model: Served, **fields: Any) -> dict[str, Any]:
    """Parameters: https://github.com/triton-inference-server/onnxruntime_backend#model-config-options.

    The gateway batches; parallel threads inside one small batch only take cores from it. A single thread makes no pool,
    so none spins.
    """
    threads = _parameters({"intra_op_thread_count": "1", "inter_op_thread_count": "1"})
    return _single(model, backend="onnxruntime", parameters=threads, **fields)


def _onnxruntime_on_gpu(model: Served) -> dict[str, Any]:
    """CUDA's provider, without TF32: by default it rounds the factors of a float32 product to 10 bits of mantissa.

    https://onnxruntime.ai/docs/execution-providers/CUDA-ExecutionProvider.html#use_tf32. With it no score would pass the
    golden request of a publish.
    """
    cuda = {"name": "cuda", "parameters": {"use_tf32": "0"}}
    accelerated = {"execution_accelerators": {"gpu_execution_accelerator": [cuda]}}
    return _onnxruntime(model, instance_group=[_GPU], optimization=accelerated)


def _ensemble(model: Served) -> dict[str, Any]:
    """The trees under the names of tensors that callers know.

    https://github.com/triton-inference-server/server/blob/main/docs/user_guide/ensemble_models.md
    """
    step = {
        "model_name": trees_of(model.name),
        "model_version": -1,
        "input_map": {FIL_INPUT: model.input_tensor},
        "output_map": {FIL_OUTPUT: model.output_tensor},
    }
    return {**_tensors(model), "platform": "ensemble", "ensemble_scheduling": {"step": [step]}}


def _single(model: Served, **fields: Any) -> dict[str, Any]:
    """One backend's model. The warm-up runs at every load, a restart's too, so that no caller pays for the first inference."""
    zeros = {"data_type": "TYPE_FP32", "dims": [model.width], "zero_data": True}
    warm_up = {"name": "zeros", "batch_size": 32, "inputs": {model.input_tensor: zeros}}
    return {**_tensors(model), "model_warmup": [warm_up], **fields}


def _tensors(model: Served) -> dict[str, Any]:
    """No dynamic_batching: the gateway sends whole batches, a second queue would only add its delay."""
    return {
        "name": model.name,
        "max_batch_size": MAX_BATCH_SIZE,
        "input": [{"name": model.input_tensor, "data_type": "TYPE_FP32", "dims": [model.width]}],
        "output": [{"name": model.output_tensor, "data_type": "TYPE_FP32", "dims": [1]}],
        "version_policy": {"latest": {"num_versions": 1}},
    }


def _parameters(values: Mapping[str, str]) -> dict[str, Any]:
    return {key: {"string_value": value} for key, value in values.items()}


def _text(config: Mapping[str, Any]) -> str:
    """By Triton's own protobuf: a field that it does not know, or a value of another type, raises here."""
    from google.protobuf import json_format, text_format
    from tritonclient.grpc.model_config_pb2 import ModelConfig

    return str(text_format.MessageToString(json_format.ParseDict(config, ModelConfig())))
