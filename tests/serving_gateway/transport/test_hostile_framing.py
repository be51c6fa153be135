"""Requests that two readers could take for different ones, or that no reader should take: a status each, and closed."""

import json
import socket

import pytest

from tests.serving_gateway.support import GatewayProcess
from tests.serving_gateway.transport.raw import BODY, Answer, answers, connect, post, received, talk

pytestmark = pytest.mark.integration

SMUGGLED = b"GET /rollout/history HTTP/1.1\r\nHost: x\r\n\r\n"


def head(*lines: str, body: bytes = b"") -> bytes:
    return "\r\n".join(["POST /predict HTTP/1.1", "Host: x", *lines, "", ""]).encode("latin-1") + body


def chunked(*pieces: bytes, trailer: bytes = b"") -> bytes:
    return b"".join(b"%x\r\n%b\r\n" % (len(p), p) for p in pieces) + b"0\r\n" + trailer + b"\r\n"


TE = "Transfer-Encoding: chunked"
FRAMING = {
    "length and chunks": head("Content-Length: 5", TE, body=b"0\r\n\r\n"),
    "chunks and length": head(TE, "Content-Length: 4", body=b"0\r\n\r\n"),
    "two lengths": head("Content-Length: 3", "Content-Length: 4", body=b"abcd"),
    "the same length twice": head("Content-Length: 3", "Content-Length: 3", body=b"abc"),
    "a list of lengths": head("Content-Length: 3, 3", body=b"abc"),
    "a signed length": head("Content-Length: +3", body=b"abc"),
    "a negative length": head("Content-Length: -3", body=b"abc"),
    "a hexadecimal length": head("Content-Length: 0x3", body=b"abc"),
    "a fractional length": head("Content-Length: 3.0", body=b"abc"),
    "an empty length": head("Content-Length:", body=b""),
    "a length beyond 64 bits": head("Content-Length: 18446744073709551617", body=b"a"),
    "a length of thousands of digits": head("Content-Length: " + "1" * 9000, body=b"a"),
    "a coding nobody knows": head("Transfer-Encoding: cow", body=b"0\r\n\r\n"),
    "chunked, but not last": head("Transfer-Encoding: chunked, gzip", body=b"0\r\n\r\n"),
    "chunked in disguise": head("Transfer-Encoding: xchunked", body=b"0\r\n\r\n"),
    "a space before the colon": head("Transfer-Encoding : chunked", "Content-Length: 0"),
    "a header without a name": head(": x"),
    "a header without a colon": head("nonsense"),
    "a name with a space": head("a b: c"),
    "a NUL in a value": head("A: b\0c"),
    "a bare CR in a value": head("A: b\rContent-Length: 3"),
    "a folded header": head("A: b", " folded", "Content-Length: 0"),
    "a chunk size that is none": head(TE, body=b"zz\r\n"),
    "a negative chunk size": head(TE, body=b"-1\r\n"),
    "a chunk size beyond 64 bits": head(TE, body=b"11111111111111111\r\n"),
    "a chunk longer than it says": head(TE, body=b"1\r\nabc\r\n0\r\n\r\n"),
    "a length in the trailer": head(TE, body=chunked(BODY, trailer=b"Content-Length: 3\r\n")),
    "no HTTP at all": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    "HTTP/2's preface": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "a method that is none": b"PR\xc3\x84 / HTTP/1.1\r\n\r\n",
    "a version that is none": b"GET / HTTP/1.1.1\r\n\r\n",
    "a space in the target": b"GET /a b HTTP/1.1\r\n\r\n",
    "a NUL in the target": b"GET /\0 HTTP/1.1\r\n\r\n",
}


@pytest.mark.parametrize("sent", FRAMING.values(), ids=FRAMING)
def test_what_could_hide_a_second_request_is_refused_and_closed(sent: bytes, gateway: GatewayProcess) -> None:
    """Once, whatever follows: nothing behind the refused request is taken for a request."""
    (answer,) = talk(gateway.port, [sent + SMUGGLED], half_close=False)
    assert (answer.status, answer.headers["connection"]) == (400, "close")
    assert json.loads(answer.body).keys() == {"error"}


def test_chunks_are_a_body_and_their_trailers_no_headers(gateway: GatewayProcess) -> None:
    sent = head(TE, body=chunked(BODY[:7], BODY[7:], trailer=b"X-Model-Arm: nonsense\r\n"))
    found = talk(gateway.port, [sent + post()])
    assert [answer.status for answer in found] == [200, 200]


def test_a_trailer_without_end_is_too_large(gateway: GatewayProcess) -> None:
    sent = head(TE, body=chunked(BODY, trailer=b"A: b\r\n" * 5000))
    assert [answer.status for answer in talk(gateway.port, [sent])] == [431]


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"GET /" + b"a" * 20_000 + b" HTTP/1.1\r\n\r\n", 431),
        (b"GET / HTTP/1.1\r\nA: " + b"b" * 20_000 + b"\r\n\r\n", 431),
        (b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 5000 + b"\r\n", 431),
        (b"GET / HTTP/1.1\r\n" + b"a" * 20_000 + b": b\r\n\r\n", 431),
        (head("Content-Length: 8388609"), 413),
        (head("Content-Length: 8388609", "Expect: 100-continue"), 413),
        (head("Expect: 200-ok", "Content-Length: 1"), 417),
    ],
    ids=["target", "value", "lines", "name", "length", "length, asked before", "expectation"],
)
def test_what_is_too_large_is_refused_before_it_is_read(sent: bytes, status: int, gateway: GatewayProcess) -> None:
    (answer,) = talk(gateway.port, [sent], half_close=False)
    assert (answer.status, answer.headers["connection"]) == (status, "close")


@pytest.mark.parametrize("announced", [True, False], ids=["a length", "chunks"])
def test_who_sends_too_much_reads_the_refusal_all_the_same(announced: bool, gateway: GatewayProcess) -> None:
    """A connection closed with bytes unread is reset, and a client that is sending learns nothing but that."""
    piece = b"%x\r\n%b\r\n" % (1 << 20, b"a" * (1 << 20))
    sent = [head(f"Content-Length: {64 << 20}" if announced else TE), *[piece] * 16]
    with connect(gateway.port) as client:
        for part in sent:
            client.sendall(part)
        client.shutdown(socket.SHUT_WR)
        (answer,) = answers(received(client))
    assert (answer.status, b"GATEWAY_MAX_BODY_BYTES" in answer.body) == (413, True)


@pytest.mark.parametrize("cut", [3, 30, 75, len(post()) - 1])
def test_a_request_that_is_cut_short_is_told_so(cut: int, gateway: GatewayProcess) -> None:
    (answer,) = talk(gateway.port, [post()[:cut]])
    assert (answer.status, b"cut short" in answer.body) == (400, True)


def test_who_sends_no_more_is_answered_still(gateway: GatewayProcess) -> None:
    assert [answer.status for answer in talk(gateway.port, [post() * 3])] == [200] * 3


def test_http_1_0_is_answered_and_closed(gateway: GatewayProcess) -> None:
    sent = post().replace(b"HTTP/1.1", b"HTTP/1.0")
    (answer,) = talk(gateway.port, [sent + SMUGGLED], half_close=False)
    assert (answer.status, answer.headers["connection"]) == (200, "close")


def test_pipelined_requests_are_answered_in_order_good_and_bad(gateway: GatewayProcess) -> None:
    """What can be followed goes on after an error; what cannot ends it."""
    wrong = {"/predict": 400, "/nowhere": 404, "/metrics": 405, "/v2/logging": 403}
    sent = b"".join(post() + post(b"{}", path) for path in wrong) + b"nonsense\r\n\r\n" + post()
    found = talk(gateway.port, [sent], half_close=False)
    assert [answer.status for answer in found] == [s for status in wrong.values() for s in (200, status)] + [400]


def test_expect_100_continue_is_asked_for_the_body(gateway: GatewayProcess) -> None:
    sent = post(Expect="100-continue")
    with connect(gateway.port) as client:
        client.sendall(sent[: -len(BODY)])
        assert client.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        client.sendall(BODY)
        client.shutdown(socket.SHUT_WR)
        assert received(client).startswith(b"HTTP/1.1 200 OK\r\n")


@pytest.mark.parametrize(
    ("target", "statuses"),
    [
        (b"/\xff\xfe", {400, 404}),
        (b"/%ff%fe", {404}),
        (b"/v2/models/%ff/ready", {200, 404}),
        (b"/v2/models/a%0d%0aX-Injected:%201/ready", {200, 404}),
        (b"/rollout/history?count=" + b"1" * 5000, {400}),
        (b"/rollout/history?count=%ff", {400}),
        (b"/rollout/history?count=-1", {400}),
        (b"/rollout/history?" + b"&" * 5000, {200}),
        (b"/../../etc/passwd", {404}),
        (b"/%2e%2e/%00", {404}),
        (b"*", {400, 404}),
    ],
)
def test_a_strange_target_is_no_bug(target: bytes, statuses: set[int], gateway: GatewayProcess) -> None:
    (answer,) = talk(gateway.port, [b"GET %b HTTP/1.1\r\nHost: x\r\n\r\n" % target])
    assert answer.status in statuses, answer


@pytest.mark.parametrize("name", ["x-routing-key", "x-model-arm", "x-api-key", "authorization", "content-encoding"])
def test_headers_of_no_encoding_are_no_bug(name: str, gateway: GatewayProcess) -> None:
    def asked(path: str) -> Answer:
        (answer,) = talk(gateway.port, [post(BODY, path, **{name: "\xff\xfe\x80 \xc3"})])
        return answer

    assert asked("/predict").status in {200, 400}
    assert asked("/v2/models/delay/infer").status in {400, 415}
    assert asked("/rollout/rollback").status in {401, 403}
