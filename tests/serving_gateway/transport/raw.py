"""Bytes to a gateway and answers from it, over sockets that keep no rule."""

import json
import socket
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from tests.serving_gateway.support import GIVEN

BODY = json.dumps({"features": GIVEN, "event_time": "2013-05-01T12:00:00Z"}).encode()


class Answer(NamedTuple):
    """One response; header names are lower-case."""

    status: int
    headers: dict[str, str]
    body: bytes


def post(body: bytes = BODY, path: str = "/predict", **headers: object) -> bytes:
    """A request with its length; `_` in a header's name is sent as `-`."""
    lines = [f"POST {path} HTTP/1.1", "Host: x", f"Content-Length: {len(body)}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


def connect(port: int, timeout_s: float = 10.0) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=timeout_s)


def talk(port: int, pieces: Iterable[bytes], *, half_close: bool = True, timeout_s: float = 10.0) -> list[Answer]:
    """Send the pieces, then read until the gateway closes. Raises TimeoutError where it never does."""
    with connect(port, timeout_s) as client:
        with suppress(ConnectionError):  # refused while still sending: the answer is there to be read all the same
            for piece in pieces:
                client.sendall(piece)
            if half_close:
                client.shutdown(socket.SHUT_WR)
        return answers(received(client))


def received(client: socket.socket) -> bytes:
    """All that comes until the connection ends."""
    found = bytearray()
    with suppress(ConnectionError):
        while data := client.recv(65536):
            found += data
    return bytes(found)


def answers(data: bytes) -> list[Answer]:
    """The whole responses of `data`, by their lengths; interim ones are left out. Raises ValueError for anything else."""
    found = []
    while data:
        head, separator, data = data.partition(b"\r\n\r\n")
        if not separator:
            raise ValueError(f"a head without an end: {head[:200]!r}")
        first, *lines = head.decode("latin-1").split("\r\n")
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
        length = int(headers.get("content-length", 0))
        status = int(first.split()[1])
        if len(data) < length:
            raise ValueError(f"a body without an end: {data[:200]!r}")
        if status >= 200:
            found.append(Answer(status, headers, data[:length]))
        data = data[length:]
    return found


def resident_mib(pid: int, field: str = "VmRSS") -> float:
    """Memory of a process; `VmHWM` is its greatest since `forget_peak`."""
    lines = (Path("/proc") / str(pid) / "status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith(field))


def forget_peak(pid: int) -> None:
    (Path("/proc") / str(pid) / "clear_refs").write_text("5")


def closed_within(client: socket.socket, seconds: float) -> bytes:
    """What came before the gateway closed; fails where it does not close in time."""
    began = time.monotonic()
    client.settimeout(seconds)
    found = received(client)
    assert time.monotonic() - began < seconds
    return found
