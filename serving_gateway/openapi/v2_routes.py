"""The Open Inference Protocol's routes, described from their table: what they say of themselves, and what they give."""

from collections.abc import Mapping
from typing import Any

from serving_gateway.contracts.model import ModelContract
from serving_gateway.openapi import example, shapes
from serving_gateway.openapi.operation import BINARY, JSON, Operation
from serving_gateway.openapi.routes import ROUTING
from serving_gateway.v2.infer import Infer
from serving_gateway.v2.models import Models
from serving_gateway.v2.refusals import Refusal
from serving_gateway.v2.table import endpoints

_TRITON = {
    502: "Triton replied with what is no answer",
    503: "Triton is away, or nothing is served",
    504: "the deadline passed",
}
_NO_MODEL = {404: "the rolled-out model has no such version, or Triton no such model"}
_GIVES: dict[str, Any] = {
    "server": shapes.ServerMetadata,
    "live": shapes.Live,
    "ready": shapes.LiveAndReady,
    "model_ready": Any,
    "metadata": shapes.ModelMetadata,
    "config": dict[str, Any],
    "stats": shapes.ModelStatistics,
    "all_stats": shapes.ModelStatistics,
    "index": list[shapes.IndexEntry],
}
_CODED = {413: "the body is too large once it is inflated", 415: "a coding other than gzip or deflate"}


def operations(contract: ModelContract) -> Mapping[tuple[str, str], Operation]:
    """Each of the table, by (pattern, method); examples are of `contract`."""
    return {
        (pattern, method): _described(pattern, handler, contract)
        for pattern, methods in endpoints(Infer.__call__, Models).items()
        for method, handler in methods.items()
    }


def _described(pattern: str, handler: Any, contract: ModelContract) -> Operation:
    if isinstance(handler, Refusal):
        return Operation(summary="Not offered", about=f"403: {handler.sentence}.", gives={}, errors={403: "always"})
    if handler is Infer.__call__:
        return _infer(pattern, contract)
    name, about = handler.__name__, handler.__doc__
    of_model = "{model}" in pattern
    return Operation(
        summary=about.partition("\n")[0].rstrip("."),
        gives={JSON: _GIVES[name]},
        takes={"type": "object"} if name == "index" else None,
        example={} if name == "index" else None,
        errors={}
        if name == "live"
        else _TRITON | (_NO_MODEL if of_model else {}) | (_CODED if name == "index" else {}),
        passes_through=name not in {"live", "ready"},
    )


def _infer(pattern: str, contract: ModelContract) -> Operation:
    by_version = "{version}" in pattern
    return Operation(
        summary="Scores of a version, past the split" if by_version else "Scores, by the split",
        about="Tensors as JSON, or binary behind it as Inference-Header-Content-Length says.",
        takes={"type": "object"},
        binary_too=True,
        example=example.tensors(contract),
        answer=None if by_version else _scores(contract),
        gives={JSON: shapes.Inferred, BINARY: bytes},
        access="key",
        parameters=() if by_version else ROUTING,
        errors={
            400: "a mistake in the tensors, named",
            409: "the arm asked for gets no traffic",
        }
        | _NO_MODEL
        | _CODED
        | _TRITON,
        passes_through=True,
    )


def _scores(contract: ModelContract) -> dict[str, Any]:
    output = {"name": contract.output_tensor, "datatype": "FP32", "shape": [1, 1], "data": [0.25]}
    return {
        "model_name": contract.model,
        "model_version": contract.version,
        "parameters": {"prediction_ids": "018f3c5e-7a10-7000-8000-0123456789ab"},
        "outputs": [output],
    }
