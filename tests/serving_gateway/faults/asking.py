"""`python -m tests.serving_gateway.faults.asking PORTS CONNECTIONS PAUSE_S RATE BODY`: ask gateways until our input is closed.

Its own process, so that what the test does costs it no time. Every request has a routing key of its own. RATE 0: each of
CONNECTIONS asks again PAUSE_S after its answer. Else RATE requests a second begin, answered or not, over as many connections
as that takes. A connection that is refused was never made: it is tried again. Prints `asking` when it begins, and at the end
one JSON list of what became of every request: see Answer.
"""

import asyncio
import itertools
import json
import sys
import time

# Port, start (CLOCK_MONOTONIC, s), milliseconds, status (0: the connection broke), Retry-After, the body.
Answer = tuple[int, float, float, int, str, str]


class Client:
    """Asks one gateway over connections that are kept."""

    def __init__(self, port: int, body: bytes, answers: list[Answer]) -> None:
        self._port = port
        self._body = body
        self._answers = answers
        self._keys = itertools.count()
        self._idle: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []

    async def ask(self) -> None:
        """Ask once; a connection that is refused is tried again."""
        while not self._idle:
            try:
                self._idle.append(await asyncio.open_connection("127.0.0.1", self._port))
            except OSError:
                await asyncio.sleep(0.02)
        reader, writer = self._idle.pop()
        began, status, retry_after, body = time.monotonic(), 0, "", b""
        head = f"POST /predict HTTP/1.1\r\nHost: g\r\nx-routing-key: {next(self._keys)}\r\nContent-Length: {len(self._body)}\r\n\r\n"
        try:
            writer.write(head.encode() + self._body)
            status, headers, body = await _read(reader)
            retry_after = headers.get("retry-after", "")
        except (OSError, asyncio.IncompleteReadError):
            writer.close()
        else:
            self._idle.append((reader, writer))
        ms = (time.monotonic() - began) * 1e3
        self._answers.append((self._port, began, ms, status, retry_after, body.decode()))


async def _read(reader: asyncio.StreamReader) -> tuple[int, dict[str, str], bytes]:
    first, *lines = (await reader.readuntil(b"\r\n\r\n")).decode().lower().strip().split("\r\n")
    headers = dict(line.split(": ", 1) for line in lines)
    return int(first.split()[1]), headers, await reader.readexactly(int(headers["content-length"]))


async def _closed_loop(client: Client, pause_s: float, until: asyncio.Event) -> None:
    while not until.is_set():
        await client.ask()
        await asyncio.sleep(pause_s)


async def _open_loop(client: Client, rate: float, until: asyncio.Event) -> None:
    began, asked = time.monotonic(), set()
    for n in itertools.count():
        await asyncio.sleep(max(0.0, began + n / rate - time.monotonic()))
        if until.is_set():
            break
        asked.add(asyncio.create_task(client.ask()))
    await asyncio.gather(*asked)


async def main(ports: list[int], connections: int, pause_s: float, rate: float, body: bytes) -> None:
    """Ask until the input ends; a gateway that went away for good is not waited for."""
    until = asyncio.Event()
    answers: list[Answer] = []
    clients = [Client(port, body, answers) for port in ports]
    asking = [_open_loop(client, rate, until) for client in clients if rate]
    asking += [_closed_loop(client, pause_s, until) for client in clients for _ in range(connections) if not rate]
    running = [asyncio.create_task(one) for one in asking]
    print("asking", flush=True)
    await asyncio.to_thread(sys.stdin.buffer.read)
    until.set()
    await asyncio.wait(running, timeout=12)
    print(json.dumps(answers))


if __name__ == "__main__":
    numbers = [float(text) for text in sys.argv[2:5]]
    asyncio.run(main(json.loads(sys.argv[1]), int(numbers[0]), numbers[1], numbers[2], sys.argv[5].encode()))
