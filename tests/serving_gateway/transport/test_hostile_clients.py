"""Clients that are slow, silent, deaf or many: each is given up on in time, and keeps nobody else from being answered."""

import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest

from tests.serving_gateway.faulty_triton import FaultyTriton
from tests.serving_gateway.support import GatewayProcess, wait_for
from tests.serving_gateway.transport.conftest import MAX_CONNECTIONS, RECEIVE_S, still_serves, worker
from tests.serving_gateway.transport.raw import (
    BODY,
    answers,
    closed_within,
    connect,
    forget_peak,
    post,
    resident_mib,
    talk,
)

pytestmark = pytest.mark.integration

SWEEP_S = 0.5
PATIENCE_S = RECEIVE_S + SWEEP_S + 1.0  # the last for a busy machine
OWN_FILES = 36  # more than it has open for Triton, Redis, log and metrics: 25
MIB = 1 << 20


def dripping(client: socket.socket, data: bytes) -> Iterator[bytes]:
    """What comes back while `data` is sent a byte at a time, until the gateway closes."""
    client.settimeout(0.02)
    deadline = time.monotonic() + 2 * PATIENCE_S
    for at in range(len(data)):
        assert time.monotonic() < deadline, "the gateway listens to a drip without end"
        try:
            client.sendall(data[at : at + 1])
            while answer := client.recv(65536):
                yield answer
        except TimeoutError:
            continue
        except ConnectionError:
            pass
        return


@pytest.mark.parametrize("start", [0, 60, len(post()) - len(BODY) + 5], ids=["line", "header", "body"])
def test_who_drips_is_cut_off_in_time_and_told_why(start: int, gateway: GatewayProcess) -> None:
    sent = post(b" " * 10_000 + BODY) if start > 60 else post(Padding="x" * 10_000)
    with connect(gateway.port) as client:
        client.sendall(sent[:start])
        began = time.monotonic()
        (answer,) = answers(b"".join(dripping(client, sent[start:])))
        assert RECEIVE_S <= time.monotonic() - began < PATIENCE_S
        assert (answer.status, answer.headers["connection"]) == (408, "close")


def test_a_connection_between_two_requests_is_left_alone(gateway: GatewayProcess) -> None:
    with connect(gateway.port) as client:
        client.sendall(post())
        client.recv(65536)
        time.sleep(2 * RECEIVE_S + SWEEP_S)
        client.sendall(post())
        assert client.recv(65536).startswith(b"HTTP/1.1 200")


def test_a_crowd_of_slow_clients_keeps_nobody_from_an_answer(gateway: GatewayProcess) -> None:
    """Many times more than may be open: whoever has been without a whole request for longest makes room."""
    with ExitStack() as stack:
        for n in range(4 * MAX_CONNECTIONS):
            client = stack.enter_context(connect(gateway.port))
            client.sendall((b"", b"POST /pre", post()[:-1])[n % 3])
            if n % 16 == 0:
                began = time.monotonic()
                still_serves(gateway)
                assert time.monotonic() - began < 1
        wait_for(lambda: open_sockets(gateway) < MAX_CONNECTIONS + OWN_FILES)


def test_where_every_connection_is_busy_the_next_is_told_to_come_back(
    gateway: GatewayProcess, stand_in: FaultyTriton
) -> None:
    wait_for(lambda: open_sockets(gateway) < OWN_FILES)  # nobody is left of those before
    stand_in.faults["delay_v1"] = "hang"
    try:
        with ExitStack() as stack:
            clients = [stack.enter_context(connect(gateway.port)) for _ in range(MAX_CONNECTIONS)]
            for client in clients:
                client.sendall(post())
            wait_for(lambda: turned_away(gateway), timeout_s=2)
            stand_in.faults.clear()
            assert {client.recv(12) for client in clients} <= {b"HTTP/1.1 504", b"HTTP/1.1 200"}
    finally:
        stand_in.faults.clear()
    wait_for(lambda: talk(gateway.port, [post()])[0].status == 200)


def turned_away(gateway: GatewayProcess) -> bool:
    with connect(gateway.port) as client:
        client.settimeout(0.2)
        try:
            (answer,) = answers(client.recv(4096))
        except TimeoutError:
            return False
        return (answer.status, answer.headers["retry-after"]) == (503, "1")


def test_who_never_reads_is_left_and_holds_little(gateway: GatewayProcess) -> None:
    """Answers without end that nobody takes: they stay few, and go with their connection."""
    asked = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n" * 1000
    forget_peak(worker(gateway))
    before, idle = resident_mib(worker(gateway)), open_sockets(gateway)
    with ExitStack() as stack:
        clients = [stack.enter_context(deaf(gateway.port)) for _ in range(16)]
        for client in clients:
            send_what_fits(client, asked)
        wait_for(lambda: open_sockets(gateway) > idle)
        wait_for(lambda: open_sockets(gateway) <= idle, timeout_s=PATIENCE_S + 5)
    assert resident_mib(worker(gateway), "VmHWM") - before < 32


def test_many_half_sent_bodies_share_one_bound(gateway: GatewayProcess) -> None:
    """32 bodies of full size may be on their way; the next is told to come back. Once they are gone, so is what they held.

    Where the machine is slow, the first are given up on before the last has come, and nobody need be told to come back.
    """
    before = resident_mib(worker(gateway))
    forget_peak(worker(gateway))
    for _ in range(2):  # the allocator need not give memory back to the system, but it is there for others
        with ExitStack() as stack:
            clients = [stack.enter_context(connect(gateway.port)) for _ in range(40)]
            part = post(b" " * (8 * MIB))[: 7 * MIB]
            for client in clients:
                send_what_fits(client, part, timeout_s=0.5)
            found = [answers(closed_within(client, PATIENCE_S + 10)) for client in clients]
        statuses = [answer.status for (answer,) in found]
        assert set(statuses) <= {408, 503}
        assert resident_mib(worker(gateway), "VmHWM") - before < 32 * 8 + 64


def test_pipelined_bodies_are_read_only_as_fast_as_they_are_answered(
    gateway: GatewayProcess, stand_in: FaultyTriton
) -> None:
    before = resident_mib(worker(gateway))
    forget_peak(worker(gateway))
    stand_in.faults["delay_v1"] = "hang"
    try:
        with connect(gateway.port) as client:
            client.sendall(post())
            send_what_fits(client, post(b"[" * (4 * MIB)) * 12, timeout_s=1.0)
            assert resident_mib(worker(gateway), "VmHWM") - before < 40
    finally:
        stand_in.faults.clear()
    wait_for(lambda: talk(gateway.port, [post()])[0].status == 200)


def open_sockets(gateway: GatewayProcess) -> int:
    return len(list((Path("/proc") / str(worker(gateway)) / "fd").iterdir()))


def deaf(port: int) -> socket.socket:
    """A client with a small window, so that the system takes little of what it does not read."""
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    client.connect(("127.0.0.1", port))
    return client


def send_what_fits(client: socket.socket, data: bytes, *, timeout_s: float = 0.1) -> None:
    client.settimeout(timeout_s)
    with suppress(TimeoutError, ConnectionError):
        client.sendall(data)
