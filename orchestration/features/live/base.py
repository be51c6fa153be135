"""The base: up to which event time the lake is believed, and from when on the journal."""

import logging
from datetime import datetime
from time import time_ns
from typing import Annotated, Any
from uuid import uuid4

import msgspec
import redis
from msgspec import Meta, Struct

from orchestration.features.live.events import instant, micros
from orchestration.features.live.stream import BEGINNING, last_id
from orchestration.features.views import PROJECT

_log = logging.getLogger(__name__)


class Base(Struct, frozen=True, kw_only=True):
    """One checkpoint.

    What has an event time before `as_of_us` is what the lake says, the rest is what came over the stream.

    Attributes:
        id: uuid.
        as_of_us: UTC microseconds since the epoch.
        position: stream entries up to this one belong to a time line that was given up, and are never applied.
        set_at_us: wall clock; the newest base holds.
        rewind: whether the time line before was given up: the updater forgets its journal.
    """

    id: Annotated[str, Meta(pattern=r"^[\w-]{1,64}\Z")]  # it names a folder
    as_of_us: int
    position: str
    set_at_us: int
    rewind: bool

    @property
    def as_of(self) -> datetime:
        """UTC."""
        return instant(self.as_of_us)


def base_key(project: str = PROJECT) -> str:
    """Where the base lies in the online store's Redis; one slot with the watermark on a cluster."""
    return f"features:{{{project}}}:base"


def set_base(
    online: "redis.Redis", stream: "redis.Redis", as_of: datetime, *, rewind: bool, project: str = PROJECT
) -> Base:
    """Set a new base at `as_of` (UTC); the updater takes it up within a second.

    Args:
        online: the online store's Redis.
        stream: the Redis of the events.
        as_of: what the lake knows of the time before it, the online store has already.
        rewind: give up the time line: the online store was emptied and filled anew, and what is in the stream up to now
            is not applied to it. Else what came over the stream since `as_of` goes on counting.
        project: Feast's.
    """
    before = decoded(online.get(base_key(project)))
    position = last_id(stream) if rewind else (before.position if before else BEGINNING)
    now_us = max(time_ns() // 1_000, before.set_at_us + 1 if before else 0)
    base = Base(id=str(uuid4()), as_of_us=micros(as_of), position=position, set_at_us=now_us, rewind=rewind)
    online.set(base_key(project), msgspec.json.encode(base))
    return base


def read_base(online: "redis.Redis", project: str = PROJECT) -> Base | None:
    """The base that holds; None where none was set."""
    return decoded(online.get(base_key(project)))


def decoded(data: Any) -> Base | None:
    """The base in these bytes; None where there are none, or where they are damaged: such a base is as good as lost."""
    try:
        return None if data is None else msgspec.json.decode(data, type=Base)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        _log.warning("the base in the online store is damaged: %s", error)
        return None


def put_back(online: "redis.Redis", base: Base, project: str = PROJECT) -> None:
    """Write the updater's own base where the store lost it or has an older one; a newer one, set meanwhile, stays."""
    stood: Any = online.set(base_key(project), msgspec.json.encode(base), get=True)
    if (theirs := decoded(stood)) is not None and theirs.set_at_us > base.set_at_us:
        online.set(base_key(project), stood)
