"""The OpenAPI 3.1 document, from the descriptions and the code's own types."""

from collections.abc import Iterable, Mapping
from http import HTTPStatus
from typing import Any

import msgspec

from serving_gateway.contracts.model import ModelContract
from serving_gateway.http import is_v2
from serving_gateway.openapi import example, routes, v2_routes
from serving_gateway.openapi.operation import BINARY, JSON, Operation, Parameter, errors_of
from serving_gateway.openapi.shapes import Error, ProtocolError

REF = "#/components/schemas/{name}"
_TRITONS_OWN = "text/plain"  # so Triton labels the JSON of its errors
_SECURITY: Mapping[str, list[dict[str, list[str]]]] = {
    "open": [],
    "key": [{}, {"apiKey": []}, {"apiKeyHeader": []}],
    "admin": [{"adminToken": []}],
}
_SCHEMES = {
    "apiKey": {"type": "http", "scheme": "bearer", "description": "needed where API_KEYS_FILE is set"},
    "apiKeyHeader": {"type": "apiKey", "in": "header", "name": "X-Api-Key", "description": "the same"},
    "adminToken": {"type": "http", "scheme": "bearer", "description": "ADMIN_TOKEN, or one of ADMIN_TOKEN_FILE"},
}


def described(contract: ModelContract | None, *, max_rows: int) -> dict[tuple[str, str], Operation]:
    """Every operation, by (path, method); examples are of `contract`, or of a small model of their own."""
    of = contract or example.CONTRACT
    return {**routes.operations(of, max_rows=max_rows), **v2_routes.operations(of)}


def document(operations: Mapping[tuple[str, str], Operation]) -> dict[str, Any]:
    """The document. What is asked by GET may be asked by HEAD."""
    types = list(_types(operations.values()))
    schemas, components = msgspec.json.schema_components(types, ref_template=REF)
    known = dict(zip(map(repr, types), schemas, strict=True))
    paths: dict[str, dict[str, Any]] = {}
    for (path, method), operation in operations.items():
        paths.setdefault(path, {})[method.lower()] = _operation(path, method, operation, known)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Drift Platform gateway",
            "version": "1",
            "description": "Predictions by the rollout's arms, ground truth, rollout control, Open Inference Protocol v2. "
            "Every answer has a header traceresponse (W3C Trace Context); a traceparent that is sent keeps its trace.",
        },
        "paths": paths,
        "components": {"schemas": components, "securitySchemes": _SCHEMES},
    }


def _types(operations: Iterable[Operation]) -> Iterable[Any]:
    found = {repr(kind): kind for kind in (Error, ProtocolError)}
    for operation in operations:
        for kind in (*operation.gives.values(), *_within(operation.takes), operation.conflict):
            if kind is not None and kind not in (str, bytes, Any):
                found[repr(kind)] = kind
    return found.values()


def _within(takes: Any) -> Iterable[Any]:
    """The types that a body's schema holds."""
    if isinstance(takes, Mapping):
        for value in takes.values():
            yield from _within(value)
    elif isinstance(takes, list):
        for value in takes:
            yield from _within(value)
    elif isinstance(takes, type):
        yield takes


def _schema(kind: Any, known: Mapping[str, Any]) -> Any:
    """`kind` as JSON Schema: a type by its component, a schema with the types in it replaced."""
    if kind is Any:
        return {}
    if kind in (str, bytes):
        return {"type": "string"}
    if isinstance(kind, Mapping):
        return {name: _schema(value, known) for name, value in kind.items()}
    if isinstance(kind, list):
        return [_schema(value, known) for value in kind]
    return known.get(repr(kind), kind)


def _operation(path: str, method: str, operation: Operation, known: Mapping[str, Any]) -> dict[str, Any]:
    named = [part[1:-1] for part in path.split("/") if part.startswith("{")]
    parameters = [_path_parameter(name) for name in named] + [_parameter(p) for p in operation.parameters]
    found: dict[str, Any] = {
        "operationId": f"{method.lower()}{path.replace('/', '_').replace('{', '').replace('}', '')}",
        "summary": operation.summary,
        "tags": [_tag(path)],
        "security": _SECURITY[operation.access],
        "responses": _responses(path, operation, known),
    }
    if operation.about:
        found["description"] = operation.about
    if parameters:
        found["parameters"] = parameters
    if operation.takes is not None:
        content: dict[str, Any] = {JSON: {"schema": _schema(operation.takes, known), "example": operation.example}}
        if operation.binary_too:
            content[BINARY] = {"schema": {"type": "string", "format": "binary"}}
        found["requestBody"] = {"required": True, "content": content}
    return found


def _tag(path: str) -> str:
    if is_v2(path):
        return "Open Inference Protocol v2"
    return (
        "Rollout"
        if path.startswith("/rollout")
        else "Predictions"
        if path in {"/predict", "/feedback"}
        else "Operation"
    )


def _responses(path: str, operation: Operation, known: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if operation.gives:
        content = {kind: {"schema": _schema(gives, known)} for kind, gives in operation.gives.items()}
        found["200"] = {"description": "done", "content": content}
    for status, when in errors_of(operation).items():
        found[str(status)] = _error(path, status, when, operation, known)
    if operation.passes_through:
        found["default"] = {"description": "what Triton says of another model, or of an explicit version, as it is"}
    return found


def _error(path: str, status: int, when: str, operation: Operation, known: Mapping[str, Any]) -> dict[str, Any]:
    kind: Any = ProtocolError if is_v2(path) else Error
    if status == HTTPStatus.CONFLICT and operation.conflict is not None:
        kind = operation.conflict
    content = {JSON: {"schema": _schema(kind, known)}}
    if operation.passes_through:
        content[_TRITONS_OWN] = {"schema": {"type": "string"}}
    found: dict[str, Any] = {"description": when, "content": content}
    if status == HTTPStatus.SERVICE_UNAVAILABLE:
        found["headers"] = {"Retry-After": {"schema": {"type": "integer"}, "description": "seconds"}}
    if status == HTTPStatus.UNAUTHORIZED:
        found["headers"] = {"WWW-Authenticate": {"schema": {"type": "string"}}}
    return found


def _parameter(parameter: Parameter) -> dict[str, Any]:
    return {
        "name": parameter.name,
        "in": parameter.where,
        "description": parameter.about,
        "schema": dict(parameter.schema),
    }


def _path_parameter(name: str) -> dict[str, Any]:
    return {"name": name, "in": "path", "required": True, "schema": {"type": "string", "pattern": "^[^/]+$"}}
