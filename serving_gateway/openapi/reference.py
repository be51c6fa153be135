"""docs/api.md, from the descriptions and the OpenAPI document: for people, in the order of use."""

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from serving_gateway.http import is_v2
from serving_gateway.openapi.document import described, document
from serving_gateway.openapi.operation import ALWAYS, Access, Operation, errors_of

_HEAD = """# API reference

Written by `python -m serving_gateway.openapi` from the gateway's own types; the same as OpenAPI 3.1 is served at
`/openapi.json`, with examples of the model that is served. Here they are of a small model: an amount and a channel are
sent, a customer's orders are looked up. Bodies are JSON. What is asked by GET may be asked by HEAD.

Errors are `{"error": {"path": …, "message": …}}`: `path` is `$` for the whole body, `$.instances[3].origin` for a member of
it, else a header's name or `?parameter`. Under `/v2` they are `{"error": "…"}`. 503 says in `Retry-After` when to come
back. Every answer names its trace in `traceresponse`; that of a `traceparent` which was sent is kept ([tracing](tracing.md)).
A path that is not here is 404, another method 405 with `Allow`. Each route may also answer:
"""
_ACCESS: Mapping[Access, str] = {
    "open": "",
    "key": "Needs an API key where `API_KEYS_FILE` is set: `Authorization: Bearer <key>` or `X-Api-Key: <key>`.",
    "admin": "Needs the admin token: `Authorization: Bearer <token>` (`ADMIN_TOKEN`, `ADMIN_TOKEN_FILE`).",
}


def reference() -> str:
    """The page."""
    operations = described(None, max_rows=1024)
    types = document(operations)["components"]["schemas"]
    own = [(route, o) for route, o in operations.items() if not is_v2(route[0])]
    protocol = [(route, o) for route, o in operations.items() if is_v2(route[0])]
    parts = [_HEAD, _table(("status", "when"), ((str(s), when) for s, when in ALWAYS.items()))]
    parts += [_section(path, method, operation) for (path, method), operation in own]
    parts += ["## Open Inference Protocol v2\n\n[What it does for the rolled-out model and for others](v2.md).\n"]
    parts += [_table(("route", "what", "statuses"), (_line(*route, o) for route, o in protocol))]
    parts += [_example(*route, o) for route, o in protocol if o.answer is not None]
    parts += ["## Types\n", *(_type(name, types[name]) for name in sorted(types))]
    return "\n".join(part for part in parts if part)


def _section(path: str, method: str, operation: Operation) -> str:
    parts = [f"## {method} {path}\n", f"{operation.summary}. {operation.about}".strip() + "\n"]
    if _ACCESS[operation.access]:
        parts.append(_ACCESS[operation.access] + "\n")
    named = ((f"`{p.name}`", p.where, f"{p.about} ({_kind(dict(p.schema))})") for p in operation.parameters)
    parts.append(_table(("parameter", "in", "meaning"), named))
    parts.append(_gives(operation))
    parts.append(_table(("status", "when"), ((str(status), when) for status, when in _own_errors(operation).items())))
    if operation.answer is not None:
        parts.append(_example(path, method, operation))
    return "\n".join(part for part in parts if part)


def _own_errors(operation: Operation) -> dict[int, str]:
    """Without what every route may answer."""
    own = {status: when.removesuffix(ALWAYS.get(status, "")) for status, when in errors_of(operation).items()}
    return {status: when.removesuffix("; or ") for status, when in own.items() if when}


def _gives(operation: Operation) -> str:
    takes = operation.takes.__name__ if isinstance(operation.takes, type) else ""
    body = f"Takes {_link(takes)}. " if takes else ""
    kinds = [
        _link(kind.__name__) if hasattr(kind, "__struct_fields__") else content
        for content, kind in operation.gives.items()
    ]
    return f"{body}Answers 200 with {' or '.join(kinds)}.\n"


def _example(path: str, method: str, operation: Operation) -> str:
    """Request and answer, as a test asks for them."""
    sent = f"{method} {path}\n" + (f"\n{_json(operation.example)}\n" if operation.example is not None else "")
    return f"```http\n{sent}```\n\n```json\n{_json(operation.answer)}\n```\n"


def _line(path: str, method: str, operation: Operation) -> tuple[str, str, str]:
    own = (["200"] if operation.gives else []) + [str(status) for status in _own_errors(operation)]
    return (
        f"`{method} {path}`",
        operation.summary,
        ", ".join(own) + (", Triton's own" if operation.passes_through else ""),
    )


def _type(name: str, schema: Mapping[str, Any]) -> str:
    required = schema.get("required", [])
    rows = (
        (f"`{field}`", _kind(kind), "yes" if field in required else "") for field, kind in schema["properties"].items()
    )
    about = schema.get("description", "").partition("\n")[0]
    return f"### {name}\n\n{about}\n\n" + _table(("member", "type", "always"), rows)


def _kind(schema: Mapping[str, Any]) -> str:
    """A JSON Schema in words."""
    if "$ref" in schema:
        return _link(schema["$ref"].rpartition("/")[2])
    if "anyOf" in schema:
        return " or ".join(_kind(each) for each in schema["anyOf"])
    if "enum" in schema:
        return ", ".join(f"`{each}`" for each in schema["enum"])
    kind = str(schema.get("type", "anything"))
    if kind == "array":
        return f"list of {_kind(schema.get('items') or {'type': 'integer'})}"
    if kind == "object" and isinstance(schema.get("additionalProperties"), dict):
        return f"object of {_kind(schema['additionalProperties'])}"
    bounds = [f"{word} {schema[key]}" for key, word in _BOUNDS.items() if key in schema]
    return f"{schema.get('format', kind)} {' '.join(bounds)}".strip()


_BOUNDS = {"minimum": "from", "maximum": "to", "minLength": "of at least", "maxLength": "of at most"}


def _link(name: str) -> str:
    return f"[{name}](#{name.lower()})"


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [f"| {' | '.join(row)} |" for row in rows]
    if not lines:
        return ""
    return "\n".join([f"| {' | '.join(head)} |", "|---" * len(head) + "|", *lines, ""])


def _json(document: object) -> str:
    return msgspec.json.format(msgspec.json.encode(document), indent=2).decode()
