"""A head that was parsed before is not parsed again, and nobody can tell."""

import asyncio
import re
from collections.abc import Sequence
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving_gateway.http import Headers, Request, Respond, Response
from serving_gateway.transport import heads, protocol
from serving_gateway.transport.heads import KnownHeads
from serving_gateway.transport.protocol import HttpProtocol

MAX_BODY = 100


class Wire:
    """The transport of one connection: keeps what is written."""

    def __init__(self) -> None:
        self.sent = b""
        self.closed = False

    def write(self, data: bytes) -> None:
        self.sent += data

    def close(self) -> None:
        self.closed = True

    def write_eof(self) -> None:
        self.closed = True

    def is_closing(self) -> bool:
        return self.closed

    def pause_reading(self) -> None: ...

    def resume_reading(self) -> None: ...


def repeat(request: Request, respond: Respond) -> None:
    """Answers with all that it was asked."""
    said = f"{request.method} {request.path} {request.query} {sorted(request.headers.items())} ".encode()
    respond(Response(200, said + request.body, "text/plain"))


def answers(pieces: Sequence[bytes], known: KnownHeads) -> tuple[bytes, bool]:
    """What a connection answers to `pieces`, and whether it was closed."""
    wire = Wire()

    async def talk() -> None:
        one = HttpProtocol(repeat, set(), max_body_bytes=MAX_BODY, known=known)
        one.connection_made(wire)  # type: ignore[arg-type]
        for piece in pieces:
            if not wire.closed:
                one.data_received(piece)

    asyncio.run(talk())
    return wire.sent, wire.closed


def post(body: bytes, *lines: bytes, path: bytes = b"/p") -> bytes:
    length = b"content-length: %d" % len(body)
    return b"\r\n".join([b"POST %b HTTP/1.1" % path, b"host: x", *lines, length, b"", body])


class Counting(KnownHeads):
    recognised = 0

    def request(self, data: bytes, *, max_body_bytes: int) -> Request | None:
        found = super().request(data, max_body_bytes=max_body_bytes)
        self.recognised += found is not None
        return found


@pytest.mark.parametrize("connections", [1, 2])
def test_a_repeated_head_is_recognised_on_any_connection(connections: int) -> None:
    known = Counting()
    asked = [post(b"one"), post(b"two"), b"GET /g?a=1 HTTP/1.1\r\n\r\n", b"GET /g?a=1 HTTP/1.1\r\n\r\n", post(b"three")]
    for _ in range(connections):
        sent, closed = answers(asked, known)
        assert [sent.count(body) for body in (b"one", b"two", b"three", b"GET /g a=1")] == [1, 1, 1, 2]
        assert not closed
    assert known.recognised == 2 + 5 * (connections - 1)


_REQUESTS = st.sampled_from(
    [
        post(b"a"),
        post(b"b"),
        post(b""),
        post(b"\r\n\r\nGET / HTTP/1.1\r\n\r\n"),
        post(b"later", b"expect: 100-continue"),
        post(b"up", b"upgrade: h2c", b"connection: upgrade"),
        post(b"last", b"connection: close"),
        post(b"x" * (MAX_BODY + 1)),
        b"POST /c HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
        b"POST /b HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST /l HTTP/1.1\r\ncontent-length: 2\r\ncontent-length: 2\r\n\r\nab",
        b"GET /old HTTP/1.0\r\nconnection: keep-alive\r\n\r\n",
        b"GET / HTTP/1.1\r\nhost: x\r\n\r\n",
        b"HEAD / HTTP/1.1\r\nhost: x\r\n\r\n",
        b"\r\n",
        b"nonsense\r\n\r\n",
    ]
)


@given(st.lists(_REQUESTS, max_size=8), st.data())
def test_answers_are_those_of_a_gateway_that_knows_nothing(asked: list[bytes], data: st.DataObject) -> None:
    whole = b"".join(asked)
    cuts = data.draw(st.one_of(st.just(None), st.lists(st.integers(0, len(whole)), max_size=6)))
    ends = [0, *sorted(cuts), len(whole)] if cuts is not None else []
    pieces = [whole[a:b] for a, b in pairwise(ends) if b > a] if ends else asked
    known = KnownHeads()
    for _ in range(3):
        # A body that is there needs no leave to come; each answer is of a trace of its own.
        answered = [answers(pieces, k)[0].replace(protocol.CONTINUE, b"") for k in (known, KnownHeads())]
        sent = [re.sub(rb"traceresponse: [0-9a-f-]+", b"", one) for one in answered]
        assert sent[0] == sent[1]


def test_only_so_many_heads_of_such_a_length_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heads, "_MOST", 2)
    known = KnownHeads()
    asked = [b"GET /%d HTTP/1.1\r\n\r\n" % n for n in range(3)]
    long = b"GET / HTTP/1.1\r\nx: %b\r\n\r\n" % (b"y" * 2000)
    for data in (*asked, long):
        assert known.learn(data, len(data), Request("GET", "/", Headers({}), b""))
    assert [known.request(d, max_body_bytes=0) is not None for d in (*asked, long)] == [False, True, True, False]


def test_a_head_that_names_a_trace_never_comes_again_and_is_not_kept() -> None:
    known = KnownHeads()
    data = b"GET / HTTP/1.1\r\ntraceparent: x\r\n\r\n"
    assert known.learn(data, len(data), Request("GET", "/", Headers({b"traceparent": b"x"}), b""))
    assert known.request(data, max_body_bytes=0) is None


ASKED = Request("POST", "/p", Headers({b"host": b"x", b"content-length": b"3"}), b"one")
CHUNKED = Request("POST", "/p", Headers({b"transfer-encoding": b"chunked"}), b"")


@pytest.mark.parametrize(
    ("first", "size", "request_"),
    [
        (post(b"one") + b"\r", len(post(b"one")) + 1, ASKED),  # the next one may have begun
        (b"\r\n\r\n" + post(b"one"), len(post(b"one")) + 4, ASKED),
        (post(b"one")[:20], len(post(b"one")), ASKED),  # the head came in pieces
        (post(b"one"), 3, ASKED),
        (b"POST /p HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n", 53, CHUNKED),
    ],
)
def test_bytes_that_may_be_more_than_one_request_are_not_kept(first: bytes, size: int, request_: Request) -> None:
    known = KnownHeads()
    assert not known.learn(first, size, request_)
    assert known.request(first, max_body_bytes=100) is None


def test_a_head_whose_body_came_later_is_known_once_it_comes_whole() -> None:
    known = KnownHeads()
    assert known.learn(post(b"one")[:-3], len(post(b"one")), ASKED)
    assert known.request(post(b"one")[:-3], max_body_bytes=100) is None
    assert known.request(post(b"one") + b"G", max_body_bytes=100) is None
    assert known.request(post(b"two"), max_body_bytes=2) is None
    found = known.request(post(b"two"), max_body_bytes=3)
    assert found is not None
    assert (found.method, found.path, found.body) == ("POST", "/p", b"two")
