"""A workload's rows as whole HTTP requests, ready to be sent: the load generator spends nothing on making them."""

import http.client
import json
import math
import socket
import struct
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from orchestration.features.training import ENTITIES, REQUEST_FIELDS
from tests.bench.workload import Workload

ROUTING_HEADER = "x-routing-key"
_LENGTH = struct.Struct("<I")
TIMEOUT_S = 10.0


def tensors(workload: Workload, path: str) -> list[bytes]:
    """One row a request as Triton takes it: a JSON header and a binary tensor; the routing key is an HTTP header."""
    contract, size = workload.contract, workload.vectors.shape[1] * 4
    header = json.dumps(
        {
            "inputs": [
                {
                    "name": contract.input_tensor,
                    "shape": [1, workload.vectors.shape[1]],
                    "datatype": "FP32",
                    "parameters": {"binary_data_size": size},
                }
            ],
            "outputs": [{"name": contract.output_tensor, "parameters": {"binary_data": True}}],
        },
        separators=(",", ":"),
    ).encode()
    rows, keys = np.ascontiguousarray(workload.vectors, "<f4"), workload.requests.select(ENTITIES).rows()
    return [
        _request(
            path,
            header + row.tobytes(),
            ("Content-Type: application/octet-stream", f"Inference-Header-Content-Length: {len(header)}"),
            key="|".join(key),
        )
        for row, key in zip(rows, keys, strict=True)
    ]


def given_features(workload: Workload, path: str) -> list[bytes]:
    """The 26 features by name as JSON, and the entities that they belong to."""
    names = [i.name for i in workload.contract.inputs]
    rows = zip(
        workload.requests.select(names).iter_rows(),
        workload.requests.select(ENTITIES).iter_rows(named=True),
        strict=True,
    )
    return [
        _json(path, {"features": dict(zip(names, map(_shortest, values), strict=True)), "entities": entities})
        for values, entities in rows
    ]


def by_entities(workload: Workload, path: str) -> list[bytes]:
    """The entities and the request's own fields as JSON; the rest is looked up."""
    rows = workload.requests.select(*ENTITIES, *REQUEST_FIELDS).iter_rows(named=True)
    return [_json(path, {name: _shortest(value) for name, value in row.items()}) for row in rows]


def write(path: Path, requests: Iterable[bytes]) -> Path:
    """Each request behind its length, u32 little-endian, as load.lua reads them."""
    path.write_bytes(b"".join(_LENGTH.pack(len(request)) + request for request in requests))
    return path


def scores(port: int, requests: Sequence[bytes], read: Callable[[bytes], float]) -> list[float]:
    """Send each request over one connection; `read` takes the score out of a body. Raises RuntimeError on a refusal."""
    found = []
    with socket.create_connection(("127.0.0.1", port), timeout=TIMEOUT_S) as connection:
        for request in requests:
            connection.sendall(request)
            answer = http.client.HTTPResponse(connection)
            answer.begin()
            body = answer.read()
            if answer.status != 200:
                raise RuntimeError(f"answered {answer.status}: {body[:300]!r}")
            found.append(read(body))
    return found


def score_of_document(body: bytes) -> float:
    """The score in the answer of a gateway."""
    return float(json.loads(body)["predictions"][0]["score"])


def score_of_tensor(body: bytes) -> float:
    """The score in Triton's answer: one float32 at its end."""
    return float(struct.unpack("<f", body[-4:])[0])


def _json(path: str, document: object) -> bytes:
    body = json.dumps(document, separators=(",", ":"), allow_nan=False).encode()
    return _request(path, body, ("Content-Type: application/json",))


def _request(path: str, body: bytes, headers: tuple[str, ...], *, key: str = "") -> bytes:
    lines = [f"POST {path} HTTP/1.1", "Host: bench", *headers, f"Content-Length: {len(body)}"]
    lines += [f"{ROUTING_HEADER}: {key}"] if key else []
    return "\r\n".join([*lines, "", ""]).encode() + body


def _shortest(value: Any) -> Any:
    """A float in the fewest digits that give the same float32, as a client would write it."""
    if not isinstance(value, float):
        return value
    return None if math.isnan(value) else float(str(np.float32(value)))
