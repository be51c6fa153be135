"""Speaks Triton's binary protocol, only to do what a real server cannot be made to: hang, answer NaN, the wrong shape."""

import asyncio
import json
import struct
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager


class FaultyTriton:
    """`faults` maps a model's name to one of hang, nan, shape, bytes, upgrade, error, close, slow; others score `scores` (0.25)."""

    def __init__(self) -> None:
        self.faults: dict[str, str] = {}
        self.scores: dict[str, float] = {}
        self.asked: Counter[str] = Counter()
        self.traceparents: list[str | None] = []
        self.address = ""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                length = int(_header(head, "content-length") or 0)
                body = await reader.readexactly(length)
                writer.write(await self._reply(head, body))
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    async def _reply(self, head: str, body: bytes) -> bytes:
        parts = head.split(" ")[1].split("/")
        if parts[-1] == "ready":
            return b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
        model = parts[3]
        header = json.loads(body[: int(_header(head, "inference-header-content-length") or 0)])
        n, _ = header["inputs"][0]["shape"]
        self.asked[model] += 1
        self.traceparents.append(_header(head, "traceparent"))
        fault = self.faults.get(model)
        if fault == "hang":
            await asyncio.sleep(3600)
        if fault == "slow":
            await asyncio.sleep(0.05)
        if fault == "close":
            raise ConnectionResetError
        if fault == "error":
            return _http(500, b'{"error":"planted"}')
        if fault == "bytes":
            return _http(200, b'{"outputs":[{"name":"\xff"}]}', 27)
        if fault == "upgrade":
            return b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n"
        score = float("nan") if fault == "nan" else self.scores.get(model, 0.25)
        shape = [n, 2] if fault == "shape" else [n, 1]
        count = shape[0] * shape[1]
        reply = {
            "outputs": [
                {"name": "score", "datatype": "FP32", "shape": shape, "parameters": {"binary_data_size": 4 * count}}
            ]
        }
        document = json.dumps(reply).encode()
        return _http(200, document + struct.pack(f"<{count}f", *[score] * count), len(document))


@contextmanager
def faulty_triton() -> Iterator[FaultyTriton]:
    """Run one in a thread."""
    server, loop = FaultyTriton(), asyncio.new_event_loop()

    async def listen() -> asyncio.Server:
        return await asyncio.start_server(server.serve, "127.0.0.1", 0)

    listening = loop.run_until_complete(listen())
    server.address = f"127.0.0.1:{listening.sockets[0].getsockname()[1]}"
    thread = threading.Thread(target=loop.run_forever)
    thread.start()

    async def stop() -> None:
        listening.close()
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    try:
        yield server
    finally:  # also when a test fails: a thread left behind would keep pytest from ending
        asyncio.run_coroutine_threadsafe(stop(), loop).result(5)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(5)
        loop.close()


def _header(head: str, name: str) -> str | None:
    for line in head.splitlines():
        if line.lower().startswith(f"{name}:"):
            return line.partition(":")[2].strip()
    return None


def _http(status: int, body: bytes, header_length: int | None = None) -> bytes:
    further = "" if header_length is None else f"Inference-Header-Content-Length: {header_length}\r\n"
    return f"HTTP/1.1 {status} X\r\n{further}Content-Length: {len(body)}\r\n\r\n".encode() + body
