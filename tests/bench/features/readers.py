"""The ways to read features: ours by layout, Feast's SDK sync and async, `feast serve`. Each runs in a process of its own."""

import asyncio
import itertools
import json
import os
import resource
import struct
import subprocess
import threading
import time
from array import array
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import uvloop

from orchestration.features.store import feast_environment, open_store
from orchestration.features.views import FEATURE_SERVICE
from serving_gateway.contracts.model import ModelContract
from serving_gateway.contracts.online_address import parse_address
from serving_gateway.online_connection import OnlineConnection
from serving_gateway.online_features import OnlineFeatures, ViewRow
from tests.bench.features.stand import NOW, REPO, SAMPLE, Answer, Entities, Stand, rows_of
from tests.bench.measure import NotComparableError
from tests.servers import BIN, QUIET, answers_200, free_port, running

WARM_UP_S = 1.0
Call = Callable[[list[Entities]], Awaitable[object]]


@dataclass(frozen=True)
class Reader:
    """`read` makes a row of each entity out of what `call` answers; `cpu_s` is the CPU so far of what reads."""

    call: Call
    read: Callable[[Any], list[Answer]]
    cpu_s: Callable[[], float]


def measure(target: str, stand: Stand, rows: int, concurrency: int, seconds: float) -> tuple[float, float]:
    """CPU microseconds a call and calls a second of `target`: what reads, not Redis, with `rows` entities a call.

    For `feast_serve` the server's CPU counts, and its client's does not: another language may be cheaper. Raises
    NotComparableError where the answers for the sample are not those of `get_online_features`.
    """
    if target == "feast_sync":
        return _threads(stand, rows, concurrency, seconds)
    return uvloop.run(
        _measured(
            {"ours": _ours, "feast_async": _feast_async, "feast_serve": _feast_serve}[target],
            stand,
            rows,
            concurrency,
            seconds,
        )
    )


async def _measured(
    open_reader: Callable[[Stand, int], AbstractAsyncContextManager[Reader]],
    stand: Stand,
    rows: int,
    concurrency: int,
    seconds: float,
) -> tuple[float, float]:
    async with open_reader(stand, concurrency) as reader:
        found: list[Answer] = []
        for at in range(0, SAMPLE, rows):
            found += reader.read(await reader.call(stand.entities[at : at + rows]))
        check(found, stand)
        return await _loaded(reader, _batches(stand, rows), concurrency, seconds)


def _batches(stand: Stand, rows: int) -> Iterator[list[Entities]]:
    """The stand's entities again and again, `rows` at a time."""
    return itertools.cycle([stand.entities[at : at + rows] for at in range(0, len(stand.entities) - rows + 1, rows)])


def check(found: list[Answer], stand: Stand) -> None:
    """Raises NotComparableError where `found` is not what the stand's sample must be answered with, float32 by float32."""
    if len(found) != len(stand.expected):
        raise NotComparableError(f"{len(found)} rows for {len(stand.expected)} entities")
    for entities, row, expected in zip(stand.entities, found, stand.expected, strict=False):
        if row.keys() != expected.keys():
            raise NotComparableError(f"other features than get_online_features: {sorted(row.keys() ^ expected.keys())}")
        for name, value in expected.items():
            if not _same(row[name], value):
                raise NotComparableError(f"{name} of {entities} is {row[name]!r}, by get_online_features {value!r}")


def _same(found: Any, expected: Any) -> bool:
    if isinstance(expected, float) and isinstance(found, float):
        return _float32(found) == _float32(expected)
    return bool((list(found) if isinstance(found, array) else found) == expected)


def _float32(value: float) -> bytes:
    return struct.pack("<f", value)


class _Gather:
    """As the gateway reads: what is asked for while a read is in flight is read together."""

    def __init__(self, features: OnlineFeatures) -> None:
        self._features = features
        self._waiting: deque[tuple[list[Entities], asyncio.Future[object]]] = deque()
        self._reading = False

    async def __call__(self, entities: list[Entities]) -> object:
        done: asyncio.Future[object] = asyncio.get_running_loop().create_future()
        self._waiting.append((entities, done))
        if not self._reading:
            self._reading = True
            asyncio.get_running_loop().create_task(self._read())
        return await done

    async def _read(self) -> None:
        loop, now_us = asyncio.get_running_loop(), int(NOW.timestamp() * 1e6)
        while self._waiting:
            batch = list(self._waiting)
            self._waiting.clear()
            wanted = [(row, now_us) for entities, _ in batch for row in entities]
            found = iter(await self._features.read(wanted, loop.time() + 5))
            for entities, done in batch:
                done.set_result([next(found) for _ in entities])
        self._reading = False


@asynccontextmanager
async def _ours(stand: Stand, _concurrency: int) -> AsyncIterator[Reader]:
    connection = OnlineConnection(parse_address(stand.redis))
    contract = ModelContract.from_json(stand.contract)
    gather = _Gather(OnlineFeatures(contract, connection))

    def read(answer: list[dict[str, ViewRow]]) -> list[Answer]:
        return [{f.name: row[v.name].values.get(f.name) for v in contract.views for f in v.features} for row in answer]

    try:
        yield Reader(gather, read, _own_cpu)
    finally:
        connection.close()


@asynccontextmanager
async def _feast_async(stand: Stand, _concurrency: int) -> AsyncIterator[Reader]:
    store = open_store(REPO, stand.home, stand.redis)
    service = store.get_feature_service(FEATURE_SERVICE)
    await store.initialize()

    async def call(entities: list[Entities]) -> object:
        return await store.get_online_features_async(features=service, entity_rows=entities)

    try:
        yield Reader(call, lambda answer: rows_of(answer.to_dict()), _own_cpu)
    finally:
        await store.close()


@asynccontextmanager
async def _feast_serve(stand: Stand, concurrency: int) -> AsyncIterator[Reader]:
    with feast_serve(stand) as (port, process):
        async with httpx.AsyncClient(
            base_url=f"http://127.0.0.1:{port}", limits=httpx.Limits(max_connections=concurrency), timeout=30
        ) as client:

            async def call(entities: list[Entities]) -> object:
                columns = {name: [row[name] for row in entities] for name in entities[0]}
                answer = await client.post(
                    "/get-online-features", json={"feature_service": FEATURE_SERVICE, "entities": columns}
                )
                answer.raise_for_status()
                return answer.content

            yield Reader(call, _rows_of_json, lambda: _tree_cpu(process.pid))


def _rows_of_json(body: bytes) -> list[Answer]:
    document = json.loads(body)
    names = document["metadata"]["feature_names"]
    columns = [column["values"] for column in document["results"]]
    return rows_of(dict(zip(names, columns, strict=True)))


@contextmanager
def feast_serve(stand: Stand) -> Iterator[tuple[int, "subprocess.Popen[bytes]"]]:
    """`feast serve`, one worker."""
    port = free_port()
    os.environ.update(feast_environment(stand.home, stand.redis) | QUIET)
    command = [BIN / "feast", "--chdir", REPO, "serve", "--host", "127.0.0.1", "--port", port]
    command += ["--workers", 1, "--no-access-log", "--keep-alive-timeout", 60]
    health = f"http://127.0.0.1:{port}/health"
    with running("feast-serve", command, Path(stand.home), lambda: answers_200(health), timeout_s=90) as process:
        yield port, process


async def _loaded(
    reader: Reader, batches: Iterator[list[Entities]], concurrency: int, seconds: float
) -> tuple[float, float]:
    async def client(until: float) -> int:
        calls = 0
        while time.perf_counter() < until:
            await reader.call(next(batches))
            calls += 1
        return calls

    async def load(seconds: float) -> int:
        until = time.perf_counter() + seconds
        return sum(await asyncio.gather(*(client(until) for _ in range(concurrency))))

    await load(WARM_UP_S)
    began, before = time.perf_counter(), reader.cpu_s()
    calls = await load(seconds)
    return (reader.cpu_s() - before) / calls * 1e6, calls / (time.perf_counter() - began)


def _threads(stand: Stand, rows: int, concurrency: int, seconds: float) -> tuple[float, float]:
    store = open_store(REPO, stand.home, stand.redis)
    service = store.get_feature_service(FEATURE_SERVICE)
    lock, batches = threading.Lock(), _batches(stand, rows)
    answer = store.get_online_features(features=service, entity_rows=stand.entities[:SAMPLE])
    check(rows_of(answer.to_dict()), stand)

    def client(until: float) -> int:
        calls = 0
        while time.perf_counter() < until:
            with lock:
                entities = next(batches)
            store.get_online_features(features=service, entity_rows=entities)
            calls += 1
        return calls

    def load(pool: Any, seconds: float) -> int:
        return sum(pool.map(client, [time.perf_counter() + seconds] * concurrency))

    with ThreadPoolExecutor(concurrency) as pool:
        load(pool, WARM_UP_S)
        began, before = time.perf_counter(), _own_cpu()
        calls = load(pool, seconds)
        return (_own_cpu() - before) / calls * 1e6, calls / (time.perf_counter() - began)


def _own_cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def _tree_cpu(pid: int) -> float:
    """User and system seconds of a process and its children, the ended ones too (proc(5): stat, fields 14 to 17)."""
    ticks = [int(t) for t in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:15]]
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return sum(ticks) / os.sysconf("SC_CLK_TCK") + sum(_tree_cpu(int(child)) for child in children)
