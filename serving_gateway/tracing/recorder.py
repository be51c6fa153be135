"""Records where the time of sampled requests went. There is none where tracing is off, and nobody has to ask further."""

import asyncio
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

from msgspec import Struct

from serving_gateway.http import Request
from serving_gateway.settings import Settings, SettingsError
from serving_gateway.tracing.sampling import Sampler
from serving_gateway.tracing.trace import Trace, begun, span_id

Attribute = str | int | bool | Sequence[str]
Attributes = Mapping[str, Attribute]
MAX_LINKS = 128  # of a span: OpenTelemetry's own limit


class Span(Struct, frozen=True):
    """Something that took time in a trace: ids in hex digits, `parent_id` empty at the root; times in nanoseconds of UNIX time.

    `error` is what went wrong, in words; empty where nothing did. `links` are (trace id, span id) of what it was done for.
    """

    name: str
    kind: str
    trace_id: str
    span_id: str
    parent_id: str
    began_ns: int
    ended_ns: int
    attributes: Attributes
    error: str = ""
    links: tuple[tuple[str, str], ...] = ()


class Exporter(Protocol):
    """Where spans go."""

    def export(self, spans: Sequence[Span]) -> None:
        """Take `spans`. Neither waits nor raises."""

    def close(self, timeout_s: float) -> None:
        """Send what waits, for as long as that. Blocks."""


class OfCall(Protocol):
    """What is done on behalf of a request."""

    @property
    def trace(self) -> Trace | None:
        """Its trace."""


class Step:
    """Work that is under way for several requests at once: a span in the trace of each."""

    def __init__(self, recorder: "Recorder", name: str, kind: str, traces: Sequence[Trace]) -> None:
        self._recorder = recorder
        self._name = name
        self._kind = kind
        self._of = [(trace, span_id()) for trace in traces]
        self._began_ns = time.time_ns()

    @property
    def traceparent(self) -> str:
        """For whoever does the work: the first of the requests stands for all."""
        trace, own = self._of[0]
        return f"00-{trace.trace_id}-{own}-01"

    def end(self, attributes: Attributes, error: str = "") -> None:
        """It is done, or has failed."""
        now = time.time_ns()
        for trace, own in self._of:
            span = Span(
                self._name, self._kind, trace.trace_id, own, trace.span_id, self._began_ns, now, attributes, error
            )
            self._recorder.add(span)


class Recorder:
    """Decides which requests are sampled and gathers their spans; they are made and queued after the answers of a moment left."""

    def __init__(self, sampler: Sampler, exporter: Exporter) -> None:
        self._sampler = sampler
        self._exporter = exporter
        self._ended: list[Span] = []

    def sample(self, trace: Trace) -> int:
        """Decide on a request that arrives. Returns when that was, in nanoseconds of UNIX time."""
        trace.sampled = self._sampler.samples(trace)
        return time.time_ns()

    def step(self, name: str, calls: Iterable[OfCall], *, kind: str = "internal") -> Step | None:
        """Work for `calls` begins; None where none of them is sampled."""
        found = {id(call): call.trace for call in calls}
        traces = [trace for trace in found.values() if trace is not None and trace.sampled]
        return Step(self, name, kind, traces) if traces else None

    def answered(self, trace: Trace, request: Request, *, route: str, status: int, began_ns: int) -> None:
        """A sampled request was answered."""
        attributes: dict[str, Attribute] = {
            "http.request.method": request.method,
            "url.path": request.path,
            "url.scheme": "http",
            "http.response.status_code": status,
        }
        name = request.method
        if route != "other":  # a path that is no route names no span: there are as many as callers think of
            attributes["http.route"] = route
            name = f"{request.method} {route}"
        if trace.request_id:
            attributes["drift.request_id"] = trace.request_id
        error = ""
        if status >= 500:  # a server's span is in error only where the server is: OpenTelemetry's conventions for HTTP
            error = attributes["error.type"] = str(status)
        attributes |= trace.about or {}
        span = Span(
            name,
            "server",
            trace.trace_id,
            trace.span_id,
            trace.parent_id,
            began_ns,
            time.time_ns(),
            attributes,
            error,
        )
        self.add(span)

    def linked(
        self, name: str, calls: Iterable[OfCall], *, began_ns: int, attributes: Attributes, error: str = ""
    ) -> None:
        """Work ended that was done after the answers of `calls`: a trace of its own, with links to theirs."""
        found = {id(call): call.trace for call in calls}
        links = [(trace.trace_id, trace.span_id) for trace in found.values() if trace is not None and trace.sampled]
        if links:
            own = begun(None)
            span = Span(
                name,
                "client",
                own.trace_id,
                own.span_id,
                "",
                began_ns,
                time.time_ns(),
                attributes,
                error,
                tuple(links[:MAX_LINKS]),
            )
            self.add(span)

    def add(self, span: Span) -> None:
        """Queue `span`; it costs more to make one than to answer, so that is done once the loop comes round."""
        if not self._ended:
            asyncio.get_running_loop().call_soon(self._flush)
        self._ended.append(span)

    async def close(self, timeout_s: float) -> None:
        """Send what waits, for as long as `timeout_s`."""
        self._flush()
        await asyncio.to_thread(self._exporter.close, timeout_s)

    def _flush(self) -> None:
        ended, self._ended = self._ended, []
        if ended:
            self._exporter.export(ended)


def recorder_of(settings: Settings) -> Recorder | None:
    """What records by `settings`; None where no collector is named: else OpenTelemetry is imported.

    Raises SettingsError where it is not installed.
    """
    if not settings.otlp_endpoint:
        return None
    try:
        from serving_gateway.tracing.export import OtlpExporter
    except ModuleNotFoundError as error:
        needed = "opentelemetry-sdk and opentelemetry-exporter-otlp-proto-http"
        raise SettingsError(f"OTEL_EXPORTER_OTLP_ENDPOINT is set and needs {needed} installed: {error}") from None
    exporter = OtlpExporter(settings.otlp_endpoint, service=settings.service_name, instance=settings.gateway_id)
    return Recorder(Sampler(settings.traces_sampler, settings.traces_sampler_arg), exporter)
