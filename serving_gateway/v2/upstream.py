"""What is passed through to Triton: the caller's request under our head, Triton's reply as it is."""

from http import HTTPStatus
from urllib.parse import quote

from serving_gateway.http import JSON, ApiError, Request, Response, unavailable
from serving_gateway.tracing.recorder import Recorder
from serving_gateway.tracing.trace import TRACEPARENT
from serving_gateway.triton.client import TritonClient
from serving_gateway.triton.errors import ScoreError
from serving_gateway.triton.messages import Reply

_HOP_BY_HOP = frozenset(
    ("connection", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade", "expect")
)
# Host and lengths are ours, the body is sent as it was before compression, and credentials are for the gateway.
_OURS = _HOP_BY_HOP | {"host", "content-length", "content-encoding", "authorization", "proxy-authorization", "cookie"}
_PATH_SAFE = "/!$&'()*+,;=:@~"
_FINAL = frozenset(status for status in HTTPStatus if status >= HTTPStatus.OK)


class Upstream:
    """Triton's HTTP endpoint with connections of its own: a model that hangs here starves no arm."""

    def __init__(self, triton: TritonClient, recorder: Recorder | None = None) -> None:
        self._triton = triton
        self._recorder = recorder

    async def get(self, path: str, deadline: float) -> Reply:
        """Reply to GET `path`. Raises ApiError as `send` does."""
        return await self.send(Request("GET", path, {}, b""), deadline)

    async def send(
        self, request: Request, deadline: float, *, path: str = "", body: bytes = b"", compressible: bool = False
    ) -> Reply:
        """Reply to `request`, sent to `path` (else its own) with `body`, before `deadline` (event loop time).

        `compressible`: Triton may compress its reply by what the caller accepts. Raises ApiError 504 when Triton is
        late, 503 when it is away.
        """
        ours = _OURS | {name.strip().lower() for name in request.headers.get("connection", "").split(",")}
        if not compressible:
            ours |= {"accept-encoding"}
        step = None if self._recorder is None else self._recorder.step("triton.request", [request], kind="client")
        if step is not None:
            ours |= {TRACEPARENT}
        method = "GET" if request.method == "HEAD" else request.method  # a reply without its body could not be told
        target = quote(path or request.path, safe=_PATH_SAFE)
        lines = [f"{method} {target} HTTP/1.1", f"host: {self._triton.address}", f"content-length: {len(body)}"]
        lines += [f"{name}: {value}" for name, value in request.headers.items() if name not in ours]
        if step is not None:
            lines.append(f"{TRACEPARENT}: {step.traceparent}")
        head = "\r\n".join([*lines, "", ""]).encode("latin-1")
        try:
            reply = await self._triton.exchange(head + body, deadline)
        except ScoreError as error:
            if step is not None:
                step.end({"error.type": error.outcome}, str(error))
            if error.outcome == "timeout":
                raise ApiError(504, str(error)) from error
            raise unavailable(str(error)) from error
        if step is not None:
            step.end({"http.response.status_code": reply.status}, str(reply.status) if reply.status >= 400 else "")
        return reply


def passed_back(reply: Reply) -> Response:
    """Triton's reply as the caller's response: status, headers and body unchanged, but for lengths and connection.

    Raises ApiError 502 for a status that ends no exchange.
    """
    if reply.status not in _FINAL:
        raise ApiError(502, f"Triton answered with status {reply.status}")
    headers = {name: value for name, value in reply.headers.items() if name not in _OURS - {"content-encoding"}}
    content_type = headers.pop("content-type", JSON)
    return Response(reply.status, reply.body, content_type, tuple(headers.items()))
