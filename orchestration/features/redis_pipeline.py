"""Many Redis commands of one form in one round trip, packed by columns: redis-py's pipeline spends more than Redis itself."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain, islice, repeat
from typing import Any

import redis
from msgspec import Struct

BLOCK = 1000  # commands sent at once: Redis works on one block while the next is packed


class Batch(Struct, frozen=True):
    """`rows` times the same command; an argument is the same in each, or a column of one value a row."""

    rows: int
    arguments: tuple[bytes | Sequence[bytes], ...]

    def commands(self) -> Iterator[tuple[bytes, ...]]:
        """The arguments of each command."""
        return zip(*(repeat(a, self.rows) if isinstance(a, bytes) else a for a in self.arguments), strict=True)

    def packed(self) -> Iterator[bytes]:
        """The commands in Redis's protocol, in blocks of BLOCK."""
        parts: list[Sequence[bytes] | repeat[bytes]] = []
        text = b"*%d\r\n" % len(self.arguments)
        for argument in self.arguments:
            if isinstance(argument, bytes):
                text += b"$%d\r\n%b\r\n" % (len(argument), argument)
                continue
            sizes = list(map(len, argument))
            heads = {size: b"%b$%d\r\n" % (text, size) for size in set(sizes)}
            parts += [[heads[size] for size in sizes], argument]
            text = b"\r\n"
        rows = zip(*parts, repeat(text, self.rows), strict=True)
        while block := b"".join(chain.from_iterable(islice(rows, BLOCK))):
            yield block


def hset(keys: Sequence[bytes], fields: Mapping[bytes, Sequence[bytes]]) -> Batch:
    """A HSET for each key, of its value in each of the columns `fields`."""
    columns: Iterable[bytes | Sequence[bytes]] = chain.from_iterable(fields.items())
    return Batch(len(keys), (b"HSET", keys, *columns))


def exchange(client: Any, batches: Sequence[Batch]) -> list[Any]:
    """The replies to all commands, in order; after a lost connection all are sent again, so they must be idempotent.

    On a Cluster redis-py's own pipeline does it, which knows each key's node and what to do where a slot has moved.

    Args:
        client: a redis.Redis or a redis.RedisCluster.
        batches: what to send, one after the other.

    Raises:
        redis.RedisError: the connection's, or the first error among the replies.
    """
    if isinstance(client, redis.RedisCluster):
        with client.pipeline(transaction=False) as pipeline:  # type: ignore[no-untyped-call]
            for command in chain.from_iterable(batch.commands() for batch in batches):
                pipeline.execute_command(command[0].decode(), *command[1:])
            return pipeline.execute()  # type: ignore[no-any-return]
    connection = client.connection_pool.get_connection()
    try:
        return connection.retry.call_with_retry(  # type: ignore[no-any-return]
            lambda: _ask(connection, batches), lambda _: connection.disconnect()
        )
    finally:
        client.connection_pool.release(connection)


def _ask(connection: Any, batches: Sequence[Batch]) -> list[Any]:
    for block in chain.from_iterable(batch.packed() for batch in batches):
        connection.send_packed_command((block,))
    replies, first_error = [], None
    for _ in range(sum(batch.rows for batch in batches)):  # all are read: the connection goes to somebody else
        try:
            replies.append(connection.read_response(disable_decoding=True))
        except redis.ResponseError as error:
            first_error = first_error or error
    if first_error is not None:
        raise first_error
    return replies
