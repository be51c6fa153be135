"""The connection pool against a server that misbehaves."""

import asyncio
import time

import pytest

from serving_gateway.triton.client import TritonClient
from serving_gateway.triton.errors import ScoreError
from serving_gateway.triton.messages import InferMessages
from tests.servers import free_port
from tests.serving_gateway.faulty_triton import FaultyTriton, faulty_triton

ROW = bytes(4)


async def ask(client: TritonClient, timeout_s: float = 2.0, model: str = "m") -> list[float]:
    messages = InferMessages(host="t", model=model, input_tensor="features", output_tensor="score", width=1)
    deadline = asyncio.get_running_loop().time() + timeout_s
    return messages.scores(await client.exchange(messages.request([ROW]), deadline), 1)


def test_connections_are_kept_and_bounded() -> None:
    async def main(server: FaultyTriton) -> None:
        client = TritonClient(server.address, size=2)
        server.faults["m"] = "slow"
        scores = await asyncio.gather(*(ask(client) for _ in range(12)))
        assert scores == [[0.25]] * 12
        assert len(client._idle) == 2
        client.close()

    with faulty_triton() as server:
        asyncio.run(main(server))


def test_a_hanging_server_costs_the_deadline_and_its_connection() -> None:
    async def main(server: FaultyTriton) -> None:
        client = TritonClient(server.address)
        assert await ask(client) == [0.25]
        server.faults["m"] = "hang"
        started = time.monotonic()
        with pytest.raises(ScoreError) as caught:
            await ask(client, 0.1)
        assert caught.value.outcome == "timeout"
        assert time.monotonic() - started < 1.0
        assert client._idle == []
        server.faults.clear()
        assert await ask(client) == [0.25]
        client.close()

    with faulty_triton() as server:
        asyncio.run(main(server))


def test_waiting_for_a_connection_is_within_the_deadline_too() -> None:
    async def main(server: FaultyTriton) -> None:
        client = TritonClient(server.address, size=1)
        server.faults["m"] = "hang"
        outcomes = await asyncio.gather(ask(client, 0.3), ask(client, 0.1), return_exceptions=True)
        assert [e.outcome for e in outcomes if isinstance(e, ScoreError)] == ["timeout", "timeout"]

    with faulty_triton() as server:
        asyncio.run(main(server))


def test_a_connection_closed_while_idle_is_replaced() -> None:
    async def main(server: FaultyTriton) -> None:
        client = TritonClient(server.address)
        assert await ask(client) == [0.25]
        server.faults["m"] = "close"
        with pytest.raises(ScoreError) as caught:
            await ask(client)
        assert caught.value.outcome == "error"
        server.faults.clear()
        assert await ask(client) == [0.25]
        client.close()

    with faulty_triton() as server:
        asyncio.run(main(server))


def test_nobody_listening_is_an_error_at_once() -> None:
    async def main() -> None:
        client = TritonClient(f"127.0.0.1:{free_port()}")
        with pytest.raises(ScoreError, match="cannot be reached") as caught:
            await ask(client)
        assert caught.value.outcome == "error"
        assert not await client.is_ready("m", asyncio.get_running_loop().time() + 1)

    asyncio.run(main())


def test_whoever_waits_for_a_place_gets_it_when_another_is_late() -> None:
    async def main(server: FaultyTriton) -> None:
        client = TritonClient(server.address, size=1)
        server.faults["stuck"] = "hang"
        first, second = await asyncio.gather(ask(client, 0.1, "stuck"), ask(client, 10.0), return_exceptions=True)
        assert isinstance(first, ScoreError)
        assert second == [0.25]
        assert len(client._idle) == 1
        client.close()

    with faulty_triton() as server:
        asyncio.run(main(server))
