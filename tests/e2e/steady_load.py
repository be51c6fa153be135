"""`python -m tests.e2e.steady_load PORT CONNECTIONS PAUSE_MS`: ask a gateway steadily until our input is closed.

Its own process, so that what the test does beside it costs it no time. The body is the first line of its input. Prints
`asking` when it begins, and at the end one JSON list: of each request its start
(CLOCK_MONOTONIC, s), its milliseconds, its status (0: the connection broke).
"""

import asyncio
import json
import sys
import time

Answer = tuple[float, float, int]


async def ask(port: int, body: bytes, pause_s: float, until: asyncio.Event, answers: list[Answer]) -> None:
    """One keep-alive connection, one request after the other; a connection that broke is made again."""
    while not until.is_set():
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        while not until.is_set():
            if not await answered(reader, writer, body, answers):
                break
            await asyncio.sleep(pause_s)
        writer.close()


async def answered(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, body: bytes, answers: list[Answer]
) -> bool:
    """Ask once; returns whether an answer came."""
    began, status = time.monotonic(), 0
    try:
        writer.write(f"POST /predict HTTP/1.1\r\nHost: gateway\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)
        status = await read(reader)
    except (OSError, asyncio.IncompleteReadError):
        pass
    answers.append((began, (time.monotonic() - began) * 1e3, status))
    return bool(status)


async def read(reader: asyncio.StreamReader) -> int:
    """Read one answer whole; returns its status."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
    await reader.readexactly(int(head.partition("content-length:")[2].split("\r\n")[0]))
    return int(head.split()[1])


async def main(port: int, connections: int, pause_s: float) -> None:
    """Ask until the input ends."""
    body, until = sys.stdin.buffer.readline().strip(), asyncio.Event()
    answers: list[Answer] = []
    asking = [asyncio.create_task(ask(port, body, pause_s, until, answers)) for _ in range(connections)]
    print("asking", flush=True)
    await asyncio.to_thread(sys.stdin.buffer.read)
    until.set()
    await asyncio.gather(*asking)
    print(json.dumps(answers))


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]) / 1000))
