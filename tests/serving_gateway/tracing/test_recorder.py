import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from serving_gateway.http import Request
from serving_gateway.tracing.recorder import MAX_LINKS, Recorder, Span
from serving_gateway.tracing.sampling import Sampler
from serving_gateway.tracing.trace import Trace, begun


class Kept:
    """An exporter that only keeps."""

    def __init__(self) -> None:
        self.batches: list[list[Span]] = []
        self.closed_within: float | None = None

    def export(self, spans: Sequence[Span]) -> None:
        self.batches.append(list(spans))

    def close(self, timeout_s: float) -> None:
        self.closed_within = timeout_s


@dataclass
class OneCall:
    trace: Trace | None


def recorded(does: Callable[[Recorder], object]) -> list[list[Span]]:
    """The batches of spans that were exported once the loop came round."""
    kept = Kept()

    async def run() -> None:
        does(Recorder(Sampler("always_on", 1.0), kept))
        await asyncio.sleep(0)

    asyncio.run(run())
    return kept.batches


def sampled() -> Trace:
    trace = begun(None)
    trace.sampled = True
    return trace


def test_a_step_is_a_span_in_the_trace_of_each_sampled_call_once() -> None:
    one, other = OneCall(sampled()), OneCall(sampled())

    def does(recorder: Recorder) -> None:
        step = recorder.step("work", [one, one, OneCall(None), other, OneCall(begun(None))], kind="client")
        assert step is not None
        parents.append(step.traceparent)
        step.end({"rows": 3}, "broke")

    parents: list[str] = []
    (spans,) = recorded(does)
    assert [(s.trace_id, s.parent_id) for s in spans] == [
        (call.trace.trace_id, call.trace.span_id) for call in (one, other) if call.trace
    ]
    assert {(s.name, s.kind, s.error, s.attributes["rows"]) for s in spans} == {("work", "client", "broke", 3)}
    assert len({s.span_id for s in spans}) == 2
    assert parents == [f"00-{spans[0].trace_id}-{spans[0].span_id}-01"]


def test_nobody_sampled_no_step() -> None:
    def does(recorder: Recorder) -> None:
        assert recorder.step("work", [OneCall(None), OneCall(begun(None))]) is None
        recorder.linked("later", [OneCall(begun(None))], began_ns=0, attributes={})

    assert recorded(does) == []


def test_spans_of_a_moment_leave_together_and_late_ones_after() -> None:
    """What ends after its request was answered is not lost: a batch that timed out, say."""
    kept, call = Kept(), OneCall(sampled())
    assert call.trace is not None
    trace = call.trace

    async def run() -> None:
        recorder = Recorder(Sampler("always_on", 1.0), kept)
        late = recorder.step("late", [call])
        assert late is not None
        step = recorder.step("early", [call])
        assert step is not None
        step.end({})
        recorder.answered(trace, Request("POST", "/x", {}, b""), route="other", status=503, began_ns=1)
        assert kept.batches == []
        await asyncio.sleep(0)
        late.end({})
        await recorder.close(0.5)

    asyncio.run(run())
    assert [[s.name for s in batch] for batch in kept.batches] == [["early", "POST"], ["late"]]
    root = kept.batches[0][1]
    assert (root.span_id, root.parent_id, root.error, root.began_ns) == (trace.span_id, "", "503", 1)
    assert "http.route" not in root.attributes  # of which there would be as many as callers think of
    assert kept.batches[1][0].parent_id == root.span_id
    assert kept.closed_within == 0.5


def test_links_have_a_bound() -> None:
    calls = [OneCall(sampled()) for _ in range(MAX_LINKS + 5)]
    (spans,) = recorded(lambda r: r.linked("later", calls, began_ns=5, attributes={"rows": 1}, error="timeout"))
    (span,) = spans
    assert span.links == tuple((c.trace.trace_id, c.trace.span_id) for c in calls[:MAX_LINKS] if c.trace)
    assert span.trace_id not in {trace_id for trace_id, _ in span.links}
    assert (span.parent_id, span.began_ns, span.error) == ("", 5, "timeout")
