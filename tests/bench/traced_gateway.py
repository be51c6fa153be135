"""CPU of one gateway process for one request, measured within it; `python -m tests.bench.tracing` runs this file.

Real Redis, log and parser; the bytes come from memory and Triton's scores at once. Uses only what older checkouts have too.
"""

import asyncio
import gc
import json
import os
import sys
import time
from collections.abc import Callable

import uvloop

from serving_gateway.gateway import Gateway
from serving_gateway.settings import Settings
from serving_gateway.transport.heads import KnownHeads
from serving_gateway.transport.protocol import HttpProtocol
from tests.serving_gateway.support import INSTANCE

CONNECTIONS = 32
WARM_UP = 2_000
LONGEST_S = 300.0


class Wire(asyncio.Transport):
    """A client's end: asks again as soon as it is answered, until so many are; `done` says with what answer it ended."""

    def __init__(self, left: list[int], request: bytes, done: "asyncio.Future[bytes]") -> None:
        super().__init__()
        self._left = left
        self._request = request
        self._done = done
        self.protocol: HttpProtocol | None = None

    def write(self, data: bytes) -> None:  # type: ignore[override]
        self._left[0] -= 1
        if self._done.done():
            return
        if self._left[0] <= 0 or not data.startswith(b"HTTP/1.1 200"):
            self._done.set_result(data)
        elif self.protocol is not None:
            asyncio.get_running_loop().call_soon(self.protocol.data_received, self._request)

    def is_closing(self) -> bool:
        return False


async def measure(requests: int) -> float:
    """Microseconds of CPU for a request, all threads of the process counted."""
    gateway = Gateway(Settings.load(os.environ))
    await gateway.begin()
    loop = asyncio.get_running_loop()

    def at_once(rows: list[bytes], _deadline: float, done: Callable[[list[float]], None], *_further: str) -> None:
        loop.call_soon(done, [0.25] * len(rows))

    gateway._follower.served.baseline.ask = at_once  # type: ignore[union-attr,method-assign,assignment]
    await ask(gateway, WARM_UP)
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 10, 50)  # as the workers have it
    before = time.process_time()
    await ask(gateway, requests)
    spent = time.process_time() - before
    await gateway.end()
    return spent / requests * 1e6


async def ask(gateway: Gateway, requests: int) -> None:
    body = json.dumps(INSTANCE).encode()
    request = b"POST /predict HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body)
    left, known = [requests], KnownHeads()
    done: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
    for _ in range(CONNECTIONS):
        wire = Wire(left, request, done)
        wire.protocol = HttpProtocol(gateway._router.handle, set(), max_body_bytes=10**6, known=known)
        wire.protocol.connection_made(wire)
        asyncio.get_running_loop().call_soon(wire.protocol.data_received, request)
    async with asyncio.timeout(LONGEST_S):
        last = await done
    if not last.startswith(b"HTTP/1.1 200"):
        raise RuntimeError(f"the gateway answered {last!r}")


if __name__ == "__main__":
    print(uvloop.run(measure(int(sys.argv[1]))))
