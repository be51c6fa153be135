"""The Redis stream of events: one entry an event, its field `event` the JSON bytes."""

from collections.abc import Iterable, Sequence
from itertools import islice
from typing import Any, NamedTuple

import redis

from orchestration.features.live.events import Event, encode
from orchestration.features.live.policy import REFUSED_KEPT

EVENTS = "drift:events"
# Dead letters: entries that hold no event, with the reason.
REFUSED = "drift:events:refused"
BEGINNING = "0-0"
_CHUNK = 1_000
_SHOWN = 4_096


class Entry(NamedTuple):
    """One entry of the stream; `data` is None where it lacks the field `event`."""

    id: str
    data: bytes | None


class Refused(NamedTuple):
    """An entry that holds no event, and why."""

    entry: Entry
    reason: str


def send(client: "redis.Redis", events: Iterable[Event]) -> str | None:
    """Append the events in order, in pipelines; returns the id of the last one, None where there was none.

    Events are what they say: values that `decode` would refuse are refused by the updater.
    """
    last: str | None = None
    remaining = iter(events)
    while chunk := list(islice(remaining, _CHUNK)):
        with client.pipeline(transaction=False) as pipeline:
            for event in chunk:
                pipeline.xadd(EVENTS, {"event": encode(event)})
            last = pipeline.execute()[-1].decode()
    return last


def read(client: "redis.Redis", after: str, *, count: int, block_ms: int) -> list[Entry]:
    """The entries after this id, all that wait up to `count`; waits up to `block_ms` for the first one."""
    answer: Any = client.xread({EVENTS: after}, count=count, block=block_ms)
    return [Entry(key.decode(), fields.get(b"event")) for _, entries in answer or () for key, fields in entries]


def refuse(client: "redis.Redis", refused: Sequence[Refused]) -> None:
    """Keep dead letters, the newest REFUSED_KEPT of them, and of each the first bytes."""
    with client.pipeline(transaction=False) as pipeline:
        for entry, reason in refused:
            letter: Any = {"id": entry.id, "event": (entry.data or b"")[:_SHOWN], "reason": reason}
            pipeline.xadd(REFUSED, letter, maxlen=REFUSED_KEPT, approximate=True)
        pipeline.execute()


def last_id(client: "redis.Redis") -> str:
    """The greatest id the stream ever gave, as far as Redis remembers; BEGINNING where there is no stream."""
    try:
        info: Any = client.xinfo_stream(EVENTS)
    except redis.ResponseError:
        return BEGINNING
    return str(info["last-generated-id"].decode())


def waiting(client: "redis.Redis", after: str, *, at_most: int) -> tuple[int, int | None]:
    """How many entries wait after this id (counted up to `at_most`), and when the oldest was sent (wall ms)."""
    entries: Any = client.xrange(EVENTS, min=f"({after}", count=at_most)
    return len(entries), sent_ms(entries[0][0].decode()) if entries else None


def ids_upto(client: "redis.Redis", last: str, *, count: int) -> list[str]:
    """Ids of the entries up to this one, the last `count` of them, oldest first."""
    entries: Any = client.xrevrange(EVENTS, max=last, count=count)
    return [key.decode() for key, _ in reversed(entries)]


def trim(client: "redis.Redis", first_kept: str) -> None:
    """Drop the entries before this id."""
    client.xtrim(EVENTS, minid=first_kept, approximate=True)


def order(entry_id: str) -> tuple[int, int]:
    """By which ids compare."""
    ms, _, sequence = entry_id.partition("-")
    return int(ms), int(sequence)


def sent_ms(entry_id: str) -> int:
    """When an entry was sent, wall milliseconds since the epoch."""
    return order(entry_id)[0]
