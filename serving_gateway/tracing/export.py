"""Spans to a collector by OTLP over HTTP, from a thread of their own. The only module that imports OpenTelemetry."""

import logging
import threading
from collections.abc import Sequence

from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.id_generator import IdGenerator
from opentelemetry.sdk.trace.sampling import ALWAYS_ON
from opentelemetry.trace import (
    Link,
    NonRecordingSpan,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    set_span_in_context,
)

from serving_gateway.settings import without_password
from serving_gateway.tracing.recorder import Span

TRACES_PATH = "/v1/traces"
_SAMPLED = TraceFlags(TraceFlags.SAMPLED)
_KINDS = {"server": SpanKind.SERVER, "client": SpanKind.CLIENT, "internal": SpanKind.INTERNAL}
_log = logging.getLogger(__name__)


class OtlpExporter:
    """Hands spans to OpenTelemetry's batches, which OTEL_BSP_* and the other OTEL_EXPORTER_OTLP_* bound and address.

    What the collector does not take is lost; that is said when it begins and when it is over.
    """

    def __init__(self, endpoint: str, *, service: str, instance: str) -> None:
        self._ids = _GivenIds()
        resource = Resource.create({"service.name": service, "service.instance.id": instance})
        provider = TracerProvider(sampler=ALWAYS_ON, resource=resource, id_generator=self._ids, shutdown_on_exit=False)
        delivery = _Delivery(f"{endpoint.rstrip('/')}{TRACES_PATH}")
        self._processor = BatchSpanProcessor(delivery)
        provider.add_span_processor(self._processor)
        self._tracer = provider.get_tracer("serving_gateway")

    def export(self, spans: Sequence[Span]) -> None:
        """Queue `spans`; where the queue is full, the oldest in it give way."""
        for span in spans:
            self._ids.trace_id, self._ids.span_id = int(span.trace_id, 16), int(span.span_id, 16)
            made = self._tracer.start_span(
                span.name,
                context=_within(span.trace_id, span.parent_id),
                kind=_KINDS[span.kind],
                attributes=span.attributes,
                links=[Link(_context(*ids)) for ids in span.links],
                start_time=span.began_ns,
            )
            if span.error:
                made.set_status(Status(StatusCode.ERROR, span.error))
            made.end(span.ended_ns)

    def close(self, timeout_s: float) -> None:
        """Send what waits. A collector that hangs is not waited for any longer: the thread ends with the process."""
        sending = threading.Thread(target=self._processor.shutdown, daemon=True)
        sending.start()
        sending.join(timeout_s)


class _GivenIds(IdGenerator):
    """The ids of the next span were given out before it is made: the caller and Triton know them already."""

    trace_id = span_id = 1

    def generate_trace_id(self) -> int:
        return self.trace_id

    def generate_span_id(self) -> int:
        return self.span_id


class _Delivery(SpanExporter):
    """OpenTelemetry's exporter, which would complain of every batch."""

    def __init__(self, url: str) -> None:
        logging.getLogger("opentelemetry.exporter").setLevel(logging.CRITICAL)
        # of a full queue it speaks every 20 s: while nothing is taken, that is no news
        logging.getLogger("opentelemetry.sdk._shared_internal").addFilter(lambda _record: not self._lost)
        self._url = without_password(url)
        self._exporter = OTLPSpanExporter(endpoint=url)
        self._lost = 0

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        result = self._exporter.export(spans)
        if result is not SpanExportResult.SUCCESS:
            if not self._lost:
                _log.warning("tracing: the collector at %s takes no spans; they are lost until it does", self._url)
            self._lost += len(spans)
        elif self._lost:
            _log.warning("tracing: the collector at %s takes spans again; %d were lost", self._url, self._lost)
            self._lost = 0
        return result

    def shutdown(self) -> None:
        self._exporter.shutdown()  # type: ignore[no-untyped-call]


def _within(trace_id: str, parent_id: str) -> Context:
    """What a span begins in; an empty one at the root. Never what this thread may happen to be in."""
    if not parent_id:
        return Context()
    return set_span_in_context(NonRecordingSpan(_context(trace_id, parent_id)), Context())


def _context(trace_id: str, span_id: str) -> SpanContext:
    return SpanContext(int(trace_id, 16), int(span_id, 16), is_remote=True, trace_flags=_SAMPLED)
