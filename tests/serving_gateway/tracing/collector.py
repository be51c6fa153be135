"""A collector of traces: takes OTLP over HTTP and decodes it by the official protobuf."""

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)


@dataclass(frozen=True)
class Seen:
    """One span as it arrived; ids in hex digits, `parent` empty at the root, times in nanoseconds."""

    name: str
    kind: int
    trace_id: str
    span_id: str
    parent: str
    began: int
    ended: int
    status: int
    message: str
    attributes: dict[str, Any]
    links: list[tuple[str, str]]
    resource: dict[str, Any]


@dataclass
class Collector:
    """What came so far. `says`: the HTTP status that it answers with."""

    port: int = 0
    says: int = 200
    paths: list[str] = field(default_factory=list)
    spans: list[Seen] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def take(self, path: str, body: bytes) -> None:
        self.paths.append(path)
        if self.says == 200:
            self.spans += _seen(ExportTraceServiceRequest.FromString(body))

    def of(self, trace_id: str) -> list[Seen]:
        """The spans of a trace, the first begun first, of those the longest."""
        return sorted((s for s in self.spans if s.trace_id == trace_id), key=lambda s: (s.began, -s.ended))


@contextmanager
def collector(port: int = 0) -> Iterator[Collector]:
    """Run one in a thread, on `port` or a free one."""
    found = Collector()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            found.take(self.path, self.rfile.read(int(self.headers["content-length"])))
            answer = ExportTraceServiceResponse().SerializeToString()
            self.send_response(found.says)
            self.send_header("content-type", "application/x-protobuf")
            self.send_header("content-length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_arguments: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, request: Any, client_address: Any) -> None:
            if not isinstance(sys.exception(), ConnectionError):  # who exports may end at any time
                super().handle_error(request, client_address)

    with Server(("127.0.0.1", port), Handler) as server:
        found.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield found
        finally:
            server.shutdown()
            thread.join(5)


def _seen(request: ExportTraceServiceRequest) -> Iterator[Seen]:
    for of_resource in request.resource_spans:
        resource = _attributes(of_resource.resource.attributes)
        for of_scope in of_resource.scope_spans:
            assert of_scope.scope.name == "serving_gateway"
            for s in of_scope.spans:
                yield Seen(
                    name=s.name,
                    kind=s.kind,
                    trace_id=s.trace_id.hex(),
                    span_id=s.span_id.hex(),
                    parent=s.parent_span_id.hex(),
                    began=s.start_time_unix_nano,
                    ended=s.end_time_unix_nano,
                    status=s.status.code,
                    message=s.status.message,
                    attributes=_attributes(s.attributes),
                    links=[(link.trace_id.hex(), link.span_id.hex()) for link in s.links],
                    resource=resource,
                )


def _attributes(pairs: Any) -> dict[str, Any]:
    return {pair.key: _value(pair.value) for pair in pairs}


def _value(value: Any) -> Any:
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return [_value(one) for one in value.array_value.values]
    return getattr(value, kind)
