"""One connection to the online store, for many reads at once.

redis-py takes 20 µs of the gateway's CPU for a command of a pipeline, this 1 µs: the commands of a read leave as one
write, and hiredis parses what comes back. Exchanges follow one another; whoever calls gathers what waits meanwhile.
"""

import asyncio
from collections.abc import Sequence
from typing import Any, Protocol

import hiredis

from serving_gateway.contracts.online_address import Node, OnlineAddress
from serving_gateway.online_wire import StoreLostError, Wire, command, connected


class OnlineStore(Protocol):
    """What the reader of features needs of a store."""

    async def read(self, keys: Sequence[bytes], commands: Sequence[bytes], deadline: float) -> list[Any]:
        """The reply to each command (RESP), which concerns the key beside it, before `deadline` (event loop time).

        Raises StoreLostError or TimeoutError.
        """

    def close(self) -> None:
        """Close; the next read connects again."""


class OnlineConnection:
    """Connects when it is first needed, and again when the store closed the connection; to what the Sentinels call master."""

    def __init__(self, address: OnlineAddress) -> None:
        self._address = address
        self._wire: Wire | None = None

    async def read(self, keys: Sequence[bytes], commands: Sequence[bytes], deadline: float) -> list[Any]:
        """See OnlineStore."""
        return await self.exchange(b"".join(commands), len(keys), deadline)

    async def exchange(self, commands: bytes, count: int, deadline: float) -> list[Any]:
        """`count` replies to `commands` (RESP, whole) before `deadline` (event loop time).

        Raises StoreLostError, also where the store answers with an error, or TimeoutError.
        """
        replies = await self.replies(commands, count, deadline)
        refused = next((reply for reply in replies if isinstance(reply, hiredis.ReplyError)), None)
        if refused is not None:
            raise StoreLostError(f"the store answered: {refused}", answered=True)
        return replies

    async def replies(self, commands: bytes, count: int, deadline: float) -> list[Any]:
        """Like `exchange`, with the store's errors among the replies.

        A connection that timed out is closed: its late replies must never answer other commands. One that the store
        closed while idle is replaced once (reads are idempotent).
        """
        async with asyncio.timeout_at(deadline):
            try:
                return await self._replies_once(commands, count)
            except StoreLostError as error:
                if error.answered:
                    raise
                return await self._replies_once(commands, count)

    def close(self) -> None:
        """Close; the next exchange connects again."""
        if self._wire is not None:
            self._wire.close()
            self._wire = None

    async def _replies_once(self, commands: bytes, count: int) -> list[Any]:
        try:
            if self._wire is None or not self._wire.usable:
                self._wire = await connected(await self._node(), self._address.options)
            return await self._wire.exchange(commands, count)
        except OSError as error:
            raise StoreLostError(f"{error}") from error
        except BaseException:
            self.close()
            raise

    async def _node(self) -> Node | None:
        if self._address.kind == "sentinel":
            return await _master(self._address)
        return self._address.nodes[0] if self._address.nodes else None


async def _master(address: OnlineAddress) -> Node:
    """Where the first Sentinel that knows says the master is. Raises StoreLostError when none does."""
    asked = command(b"SENTINEL", b"get-master-addr-by-name", address.master.encode())
    told: list[str] = []
    for host, port in address.nodes:
        try:
            wire = await connected((host, port), {})
        except (OSError, StoreLostError) as error:
            told.append(f"{host}:{port}: {error}")
            continue
        try:
            [reply] = await wire.exchange(asked, 1)
        except StoreLostError as error:
            told.append(f"{host}:{port}: {error}")
            continue
        finally:
            wire.close()
        if isinstance(reply, list):
            return reply[0].decode(), int(reply[1])
        told.append(f"{host}:{port}: {reply or 'it watches no such master'}")
    raise StoreLostError(f"no Sentinel says where {address.master!r} is ({'; '.join(told)})")
