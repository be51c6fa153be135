"""The online store on a Redis Cluster: a connection a node, each read at the node that holds the key's slot.

Follows https://redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec: the slot map is asked for when it is
needed and mended by each MOVED; a slot that is being moved is asked for by ASKING at its new node.
"""

import asyncio
from collections.abc import Sequence
from typing import Any

import hiredis
from msgspec.structs import replace
from redis.crc import key_slot

from serving_gateway.contracts.online_address import Node, OnlineAddress
from serving_gateway.online_connection import OnlineConnection
from serving_gateway.online_wire import StoreLostError, command

_SLOTS = command(b"CLUSTER", b"SLOTS")
_ASKING = command(b"ASKING")
_REDIRECTS = 5  # a key that is sent on oftener is chased through a cluster at odds with itself


class OnlineCluster:
    """Reads by slot; all nodes of a read are asked at once."""

    def __init__(self, address: OnlineAddress) -> None:
        self._address = address
        self._connections: dict[Node, OnlineConnection] = {}
        self._owners: dict[int, Node] = {}  # by slot; empty: not known

    async def read(self, keys: Sequence[bytes], commands: Sequence[bytes], deadline: float) -> list[Any]:
        """See OnlineStore. After a lost node the map is asked for anew, once: a failover may be over already."""
        try:
            return await self._read(keys, commands, deadline)
        except StoreLostError:
            self._owners = {}
            return await self._read(keys, commands, deadline)

    def close(self) -> None:
        """Close; the next read connects again."""
        for connection in self._connections.values():
            connection.close()
        self._connections, self._owners = {}, {}

    async def _read(self, keys: Sequence[bytes], commands: Sequence[bytes], deadline: float) -> list[Any]:
        if not self._owners:
            self._owners = await self._slots(deadline)
        slots = [key_slot(key) for key in keys]
        found: list[Any] = [None] * len(keys)
        waiting: list[tuple[int, Node, bytes]] = [(at, self._owner(slot), b"") for at, slot in enumerate(slots)]
        for _ in range(_REDIRECTS):
            by_node: dict[Node, list[tuple[int, bytes]]] = {}
            for at, node, before in waiting:
                by_node.setdefault(node, []).append((at, before))
            answers = await asyncio.gather(
                *(self._ask(node, commands, reads, deadline) for node, reads in by_node.items())
            )
            waiting = []
            for at, reply in (pair for pairs in answers for pair in pairs):
                if not isinstance(reply, hiredis.ReplyError):
                    found[at] = reply
                    continue
                kind, _, rest = str(reply).partition(" ")
                if kind not in ("MOVED", "ASK"):
                    raise StoreLostError(f"the store answered: {reply}", answered=True)
                node = _node(rest.split()[-1], by_node)
                if kind == "MOVED":
                    self._owners[slots[at]] = node
                waiting.append((at, node, _ASKING if kind == "ASK" else b""))
            if not waiting:
                return found
        raise StoreLostError(f"the cluster sends a key on and on ({_REDIRECTS} times)", answered=True)

    async def _ask(
        self, node: Node, commands: Sequence[bytes], reads: Sequence[tuple[int, bytes]], deadline: float
    ) -> list[tuple[int, Any]]:
        """The reply to each of `reads` (index of its command, what goes before it) by one node."""
        sent = b"".join([before + commands[at] for at, before in reads])
        count = len(reads) + sum(bool(before) for _, before in reads)
        replies = iter(await self._connection(node).replies(sent, count, deadline))
        return [(at, (next(replies), next(replies))[1] if before else next(replies)) for at, before in reads]

    async def _slots(self, deadline: float) -> dict[int, Node]:
        """The owner of each slot, as the first node says that answers."""
        told: list[str] = []
        for node in dict.fromkeys([*self._connections, *self._address.nodes]):
            try:
                [ranges] = await self._connection(node).exchange(_SLOTS, 1, deadline)
            except StoreLostError as error:
                told.append(f"{node[0]}:{node[1]}: {error}")
                continue
            return {
                slot: (owner[0].decode() or node[0], owner[1])
                for first, last, owner, *_ in ranges
                for slot in range(first, last + 1)
            }
        raise StoreLostError(f"no node says how the cluster is cut ({'; '.join(told)})")

    def _owner(self, slot: int) -> Node:
        try:
            return self._owners[slot]
        except KeyError:
            raise StoreLostError(f"no node of the cluster holds slot {slot}", answered=True) from None

    def _connection(self, node: Node) -> OnlineConnection:
        if node not in self._connections:
            self._connections[node] = OnlineConnection(replace(self._address, kind="single", nodes=(node,)))
        return self._connections[node]


def _node(text: str, asked: dict[Node, Any]) -> Node:
    """host:port of a redirection; without a host it is that of the node that was asked."""
    host, _, port = text.rpartition(":")
    return host or next(iter(asked))[0], int(port)
