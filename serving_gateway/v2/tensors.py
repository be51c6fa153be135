"""An infer request of the model that is rolled out, and its answer: one FP32 [n, k] in, one FP32 [n, 1] out."""

import itertools
import struct
from array import array
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from serving_gateway.contracts.model import ModelContract
from serving_gateway.crowding import refuse_crowded
from serving_gateway.http import JSON, ApiError, Response
from serving_gateway.scoring.row import ScoringRow
from serving_gateway.v2.documents import decoded
from serving_gateway.v2.refusals import NO_SHARED_MEMORY
from serving_gateway.vectors import packed

HEADER_LENGTH = "inference-header-content-length"
BINARY = "application/octet-stream"
MAX_ID = 128
_MAX_DIGITS = 18  # int() refuses thousands of them
_Count = Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]
_encode = msgspec.json.Encoder().encode


class TensorParameters(Struct, frozen=True):
    """What this gateway has to know of a tensor's parameters."""

    binary_data_size: _Count | UnsetType = UNSET
    binary_data: bool | None = None
    shared_memory_region: Any = UNSET
    classification: Any = UNSET


class _Input(Struct, frozen=True):
    name: str
    datatype: str
    shape: list[_Count]
    parameters: TensorParameters = TensorParameters()
    data: list[float | list[float]] | UnsetType = UNSET


class _Output(Struct, frozen=True):
    name: str
    parameters: TensorParameters = TensorParameters()


class _RequestParameters(Struct, frozen=True):
    binary_data_output: bool = False


class _Request(Struct, frozen=True):
    inputs: list[_Input]
    outputs: list[_Output] = []
    id: str = ""
    parameters: _RequestParameters = _RequestParameters()


class Asked(Struct, frozen=True):
    """`rows` are packed float32 vectors; `binary`: the answer's tensor goes behind its JSON."""

    id: str
    rows: list[bytes]
    binary: bool


def parts(headers: Mapping[str, str], body: bytes) -> tuple[bytes, bytes]:
    """(JSON, binary tensors) of an infer body; the JSON is empty where the body is one raw tensor. Raises ApiError 400."""
    text = headers.get(HEADER_LENGTH)
    if text is None:
        return body, b""
    length = int(text) if text.isascii() and text.isdigit() and len(text) <= _MAX_DIGITS else -1
    if not 0 <= length <= len(body):
        raise ApiError(
            400, f"Inference-Header-Content-Length must be 0 to {len(body)}, the body's length, got {text!r}"
        )
    return body[:length], body[length:]


def asked_of(headers: Mapping[str, str], body: bytes, contract: ModelContract, *, max_rows: int) -> Asked:
    """The rows that are asked for. Raises ApiError 400 with what is wrong, so that no model is charged with it."""
    document, tensors = parts(headers, body)
    width = len(contract.inputs)
    if not document and HEADER_LENGTH in headers:
        return Asked("", _rows(tensors, [1, width]), binary=True)
    refuse_crowded(document, max_rows=max_rows, values_a_row=width)
    request = decoded(document, _Request)
    if len(request.id) > MAX_ID or not _is_text(request.id):
        raise ApiError(400, f"id: at most {MAX_ID} characters of Unicode text")
    given = _only_input(request, contract)
    _check_shape(given, width, max_rows)
    rows = _rows(_data(given, tensors), given.shape)
    return Asked(request.id, rows, _binary(request, contract))


def _is_text(value: str) -> bool:
    """Whether it can be written as UTF-8: Python's JSON lets half a surrogate pair through."""
    return not any("\ud800" <= character <= "\udfff" for character in value)


def _only_input(request: _Request, contract: ModelContract) -> _Input:
    name = contract.input_tensor
    if [i.name for i in request.inputs] != [name]:
        raise ApiError(400, f"inputs: expected {name} alone, got {[i.name for i in request.inputs]}")
    given = request.inputs[0]
    if given.parameters.shared_memory_region is not UNSET:
        raise ApiError(400, NO_SHARED_MEMORY)
    if given.datatype != "FP32":
        raise ApiError(400, f"inputs: {name} is FP32, got {given.datatype!r}")
    return given


def _check_shape(given: _Input, width: int, max_rows: int) -> None:
    if len(given.shape) != 2 or given.shape[1] != width:
        raise ApiError(400, f"inputs: {given.name} must be of shape [n, {width}], got {given.shape}")
    if not 1 <= given.shape[0] <= max_rows:
        raise ApiError(400, f"inputs: 1 to {max_rows} rows a request (GATEWAY_MAX_ROWS), got {given.shape[0]}")


def _data(given: _Input, tensors: bytes) -> bytes:
    """The tensor's bytes, from behind the JSON or out of it."""
    size = given.parameters.binary_data_size
    if size is not UNSET:
        if given.data is not UNSET:
            raise ApiError(400, f"inputs: {given.name} has both data and binary_data_size")
        if size != len(tensors):
            raise ApiError(400, f"inputs: binary_data_size is {size}, but {len(tensors)} bytes follow the JSON")
        return tensors
    if given.data is UNSET:
        raise ApiError(400, f"inputs: {given.name} has neither data nor binary_data_size")
    if tensors:
        raise ApiError(400, f"{len(tensors)} bytes follow the JSON, but no input says binary_data_size")
    flat = itertools.chain.from_iterable(row if isinstance(row, list) else (row,) for row in given.data)
    return packed(array("f", flat))


def _rows(data: bytes, shape: Sequence[int]) -> list[bytes]:
    count, row_bytes = shape[0], 4 * shape[1]
    if len(data) != count * row_bytes:
        raise ApiError(400, f"inputs: {list(shape)} needs {count * shape[1]} FP32 values, got {len(data) / 4:g}")
    return [data[at : at + row_bytes] for at in range(0, len(data), row_bytes)]


def _binary(request: _Request, contract: ModelContract) -> bool:
    """Whether the output is wanted binary. Raises ApiError 400 where something else than the output is wanted."""
    binary = request.parameters.binary_data_output
    for output in request.outputs:
        if output.name != contract.output_tensor:
            raise ApiError(400, f"outputs: there is only {contract.output_tensor}, got {output.name!r}")
        if output.parameters.shared_memory_region is not UNSET:
            raise ApiError(400, NO_SHARED_MEMORY)
        if output.parameters.classification is not UNSET:
            raise ApiError(400, f"outputs: {output.name} is a probability, there are no classes to rank")
        wanted = output.parameters.binary_data
        binary = binary if wanted is None else wanted
    return binary


def answer(asked: Asked, rows: Sequence[ScoringRow], *, model: str, output_tensor: str) -> Response:
    """The scores of `rows` in the form asked.

    `model_version` is the version that answered. Rows of a request share a routing key and so an arm; should a fallback
    have answered only some of them, every version is named, in the order of the first row of each.
    """
    scores = [row.score for row in rows]
    versions = dict.fromkeys(row.answered_by.arm.version for row in rows)
    output: dict[str, object] = {"name": output_tensor, "datatype": "FP32", "shape": [len(rows), 1]}
    document = {"id": asked.id} if asked.id else {}
    document |= {"model_name": model, "model_version": ",".join(versions)}
    further = {"parameters": {"prediction_ids": ",".join(row.prediction_id for row in rows)}, "outputs": [output]}
    if not asked.binary:
        output["data"] = scores
        return Response(200, _encode(document | further), JSON)
    data = struct.pack(f"<{len(scores)}f", *scores)
    output["parameters"] = {"binary_data_size": len(data)}
    head = _encode(document | further)
    return Response(200, head + data, BINARY, ((HEADER_LENGTH, str(len(head))),))
