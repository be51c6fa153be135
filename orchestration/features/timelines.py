"""What a view's last row of a key is made of, value by value: the key's entries, in the order of (instant, id).

An event changes a handful of keys, and for a handful a column costs more to begin than its values to compute. So beside
the columns of each view stands the last row of one key, by the same operations in the same order: to the last bit. All
instants are UTC microseconds since the epoch.
"""

from bisect import bisect_left, bisect_right
from struct import Struct
from typing import NamedTuple, TypeVar

_FLOAT32 = Struct("<f")

Values = tuple[float | int | list[float] | None, ...]


class Movement(NamedTuple):
    """A departure or an arrival `at`, `delay` minutes after its schedule."""

    at: int
    id: str
    delay: float


class Due(NamedTuple):
    """An event of a board `at`: a schedule becomes known, LEAD before it, or its flight leaves."""

    at: int
    id: str
    sched: int
    dep: int | None


class Report(NamedTuple):
    """A weather report known `at`; inches, millibars, miles, miles an hour."""

    at: int
    id: str
    precip: float
    pressure: float | None
    visib: float
    wind_speed: float | None


Entry = Movement | Due | Report
E = TypeVar("E", bound=Entry)


class Sums(NamedTuple):
    """Decayed sums over the first `taken` entries that began with a day; see decay.py."""

    day: int
    taken: int
    before: float
    weight: float
    delays: float
    lates: float


class Timeline(list[E]):
    """Entries in their order; they change by `put` and `drop` alone.

    Attributes:
        sums: taken of the entries that stand, for whoever goes on from there; None where entries changed among them.
    """

    sums: Sums | None = None

    def put(self, entry: E) -> None:
        """Insert an entry."""
        at = bisect_right(self, entry)
        if at < len(self):
            self.sums = None
        self.insert(at, entry)

    def drop(self, entry: E) -> None:
        """Remove an entry that is there."""
        self.sums = None
        del self[bisect_left(self, entry)]

    def reached(self, upto: int) -> int:
        """How many are known at an instant."""
        return bisect_right(self, upto, key=_instant)

    def known(self, upto: int) -> "Timeline[E]":
        """Those that are known at an instant."""
        n = self.reached(upto)
        return self if n == len(self) else Timeline(self[:n])

    def since(self, after: int) -> list[E]:
        """Those later than an instant."""
        return self[self.reached(after) :]


def _instant(entry: Entry) -> int:
    return entry.at


def float32(value: float) -> float:
    """The value as float32 holds it."""
    return float(_FLOAT32.unpack(_FLOAT32.pack(value))[0])
