"""One operation, described: what it takes, what it answers, which errors it knows."""

from collections.abc import Mapping
from typing import Any, Literal

from msgspec import Struct

JSON = "application/json"
BINARY = "application/octet-stream"
Access = Literal["open", "key", "admin"]


class Parameter(Struct, frozen=True, kw_only=True):
    """A header or a query parameter; `schema` is JSON Schema."""

    name: str
    where: Literal["header", "query"]
    about: str
    schema: Mapping[str, Any]


class Operation(Struct, frozen=True, kw_only=True):
    """`takes`: the body's type, or a JSON Schema of it. `gives`: content type to the type of a 200; Any: anything.

    `errors` maps a status to when it is answered; those of every route are in ALWAYS. `passes_through`: what Triton says of
    another model is answered as it is, whatever its status. `example` is the body that docs/api.md shows, `answer` what
    comes back; a test asks, and compares their shapes.
    """

    summary: str
    about: str = ""
    gives: Mapping[str, Any]
    errors: Mapping[int, str] = {}
    access: Access = "open"
    parameters: tuple[Parameter, ...] = ()
    takes: Any = None
    binary_too: bool = False
    example: Any = None
    answer: Any = None
    passes_through: bool = False
    conflict: Any = None


# Of the transport, before a handler is asked; and a bug, of which the gateway's log has the rest.
ALWAYS = {
    400: "not HTTP, or the request cannot be read",
    408: "the request did not come whole within GATEWAY_RECEIVE_MS",
    413: "the body is larger than GATEWAY_MAX_BODY_BYTES",
    417: "an expectation other than 100-continue",
    431: "the request line and headers are larger than 16 KiB",
    500: "a bug; the gateway's log has the details",
    503: "all connections are busy, or too many large bodies are on their way",
}
KEY_ERRORS = {401: "API_KEYS_FILE is set and no key of it was sent"}
ADMIN_ERRORS = {
    401: "the admin token is missing or wrong",
    403: "ADMIN_TOKEN and ADMIN_TOKEN_FILE are not set: changes over HTTP are off",
}


def errors_of(operation: Operation) -> dict[int, str]:
    """Every error status of an operation, in order, with when it is answered."""
    access = {"open": {}, "key": KEY_ERRORS, "admin": ADMIN_ERRORS}[operation.access]
    found: dict[int, list[str]] = {}
    for source in (operation.errors, access, ALWAYS):
        for status, when in source.items():
            found.setdefault(status, []).append(when)
    return {status: "; or ".join(found[status]) for status in sorted(found)}
