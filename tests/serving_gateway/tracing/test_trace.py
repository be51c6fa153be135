import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving_gateway.http import ApiError, traced
from serving_gateway.tracing.trace import Trace, begun, span_id

TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
HEX = "0123456789abcdef"


@pytest.mark.parametrize(("flags", "samples"), [("00", False), ("01", True), ("02", False), ("03", True), ("ff", True)])
def test_the_callers_trace_is_kept_with_its_flag(flags: str, samples: bool) -> None:
    trace = begun(f"00-{TRACE}-{PARENT}-{flags}")
    assert (trace.trace_id, trace.parent_id, trace.caller_samples) == (TRACE, PARENT, samples)
    assert trace.span_id not in ("", PARENT)
    assert not trace.sampled


def test_a_later_version_may_say_more() -> None:
    """Trace Context, section 4.3: what is known of it is read."""
    assert begun(f"cc-{TRACE}-{PARENT}-01-what-the-future-brings").trace_id == TRACE
    assert begun(f"cc-{TRACE}-{PARENT}-01").trace_id == TRACE


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "nonsense",
        f"00-{TRACE}-{PARENT}",
        f"00-{TRACE}-{PARENT}-01-more",
        f"00-{TRACE}-{PARENT}-01, 00-{TRACE}-{PARENT}-01",
        f"ff-{TRACE}-{PARENT}-01",
        f"00-{'0' * 32}-{PARENT}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE.upper()}-{PARENT}-01",
        f"00-{TRACE[:-1]}-{PARENT}-01",
        f"cc-{TRACE}-{PARENT}-01.x",
        f"00-{TRACE}-{PARENT}-0٣",
    ],
)
def test_without_a_good_header_a_new_trace_begins(header: str | None) -> None:
    trace = begun(header)
    assert trace.trace_id != TRACE
    assert (trace.parent_id, trace.caller_samples) == ("", None)


@given(st.text(max_size=80))
def test_whatever_is_sent_there_is_a_trace(header: str) -> None:
    trace = begun(header)
    assert (len(trace.trace_id), len(trace.span_id)) == (32, 16)
    assert not set(trace.trace_id + trace.span_id) - set(HEX)


def test_ids_are_given_once() -> None:
    """Over many refills, in either size."""
    traces = [begun(None) for _ in range(3000)]
    spans = [trace.span_id for trace in traces] + [span_id() for _ in range(3000)]
    assert len({trace.trace_id for trace in traces}) == 3000
    assert len(set(spans)) == 6000
    assert {len(span) for span in spans} == {16}


def test_a_forked_child_gives_other_ids() -> None:
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(writer, "".join(span_id() for _ in range(50)).encode())
        os._exit(0)
    os.waitpid(child, 0)
    told = os.read(reader, 50 * 16).decode()
    os.close(reader)
    os.close(writer)
    assert len(told) == 50 * 16
    assert not {told[at : at + 16] for at in range(0, len(told), 16)} & {span_id() for _ in range(50)}


@pytest.mark.parametrize(("sampled", "flags"), [(True, "01"), (False, "00")])
def test_an_answer_names_its_trace_beside_its_other_headers(sampled: bool, flags: str) -> None:
    error = ApiError(503, "busy", headers=(("retry-after", "1"),)).response()
    answer = traced(error, Trace(TRACE, PARENT, sampled=sampled))
    assert answer.headers == (("retry-after", "1"), ("traceresponse", f"00-{TRACE}-{PARENT}-{flags}"))
    assert (answer.status, answer.body, answer.content_type) == (503, error.body, error.content_type)
