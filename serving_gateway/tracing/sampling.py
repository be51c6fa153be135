"""Which requests are recorded: OpenTelemetry's samplers by their standard names, decided without OpenTelemetry."""

from serving_gateway.tracing.trace import Trace

SAMPLERS = (
    "always_on", "always_off", "traceidratio", "parentbased_always_on", "parentbased_always_off", "parentbased_traceidratio"
)  # fmt: skip
_PARENT_BASED = "parentbased_"


class Sampler:
    """`name` as in OTEL_TRACES_SAMPLER; `ratio` in [0, 1] counts for those by ratio.

    By ratio the lower 64 bits of the trace id decide, as in OpenTelemetry's TraceIdRatioBased: all services that a trace
    passes decide alike.
    """

    def __init__(self, name: str, ratio: float) -> None:
        self._by_parent = name.startswith(_PARENT_BASED)
        kind = name.removeprefix(_PARENT_BASED)
        self._below = round({"always_on": 1.0, "always_off": 0.0}.get(kind, ratio) * 2**64)

    def samples(self, trace: Trace) -> bool:
        """Whether the request is recorded."""
        if self._by_parent and trace.caller_samples is not None:
            return trace.caller_samples
        return int(trace.trace_id[16:], 16) < self._below
