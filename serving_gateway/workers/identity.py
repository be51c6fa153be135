"""Which worker of a gateway a process is."""

import os

from msgspec import Struct, field


class Worker(Struct, frozen=True):
    """The `index`-th process of a gateway that has `of` of them. A rolling restart uses one index more than that."""

    index: int = 0
    of: int = 1
    pid: int = field(default_factory=os.getpid)


def worker_id(gateway: str, index: int) -> str:
    """The worker's name in acknowledgements, spool, trips and last known good; the first one's is the gateway's."""
    return f"{gateway}-{index}" if index else gateway


class Inherited(Struct, frozen=True):
    """What a worker gets of its parent: its index among `of`, and open descriptors.

    `listener` listens; over `line` the worker says that it is ready, or what keeps it from it, and sees the parent end;
    `metrics` are the slot files of all indices, its own among them.
    """

    index: int
    of: int
    listener: int
    line: int
    metrics: tuple[int, ...]

    @property
    def descriptors(self) -> tuple[int, ...]:
        """All of them."""
        return (self.listener, self.line, *self.metrics)
