"""Numbers that outlive their process: 64-bit slots in a shared file, and a directory of what each of them counts.

One process writes a file, any number read it. An aligned slot is written and read whole, so nobody locks. The directory
only grows, and its length is moved last: a writer killed half-way leaves no half entry. A writer that finds entries, its
predecessor's, goes on with the same slots.
"""

import mmap
import os
from typing import Literal

import msgspec
from msgspec import Struct

SLOTS = 1 << 18
SLOT_BYTES = 8
DIRECTORY_BYTES = 1 << 21
SIZE = SLOTS * SLOT_BYTES + DIRECTORY_BYTES  # of a sparse file: what is not used costs nothing
_LENGTH, _LOAD, _FIRST = 0, 1, 2  # slots that belong to the file itself, and the first that does not


class SlotsFullError(Exception):
    """No room for another series: a label takes more values than were foreseen."""


class Family(Struct, frozen=True, tag="family"):
    """A metric. `unit`: how many of a slot's integers make one; `combined`: how gauges of several workers become one.

    `own`: only that of the worker which answers counts.
    """

    name: str
    kind: Literal["counter", "gauge", "histogram"]
    doc: str
    labels: tuple[str, ...] = ()
    unit: int = 1
    bounds: tuple[float, ...] = ()
    combined: Literal["sum", "min", "max", "own"] = "sum"

    @property
    def width(self) -> int:
        """Slots of one series: a histogram has its buckets, one above the last bound, and the sum of what it saw."""
        return len(self.bounds) + 2 if self.kind == "histogram" else 1


class Series(Struct, frozen=True, tag="series"):
    """One combination of label values of the file's `family`-th family, in the slots from `at`."""

    family: int
    values: tuple[str, ...]
    at: int


_decode = msgspec.json.Decoder(Family | Series).decode


class SlotFile:
    """A mapped file, and beside the metrics one number that its writer tells the others: its load."""

    def __init__(self, file: int | None = None) -> None:
        """Map the open `file` of SIZE bytes; None: memory of this process alone."""
        memory = memoryview(mmap.mmap(-1 if file is None else file, SIZE))
        self.slots = memory[: SLOTS * SLOT_BYTES].cast("q")
        self._directory = memory[SLOTS * SLOT_BYTES :]
        self._read = 0
        self.used = _FIRST
        self.families: list[Family] = []
        self.series: list[Series] = []
        self.refresh()

    @property
    def load(self) -> int:
        """One more than the connections that the writer holds; 0 while it accepts none, or does not live."""
        return self.slots[_LOAD]

    @load.setter
    def load(self, load: int) -> None:
        self.slots[_LOAD] = load

    def refresh(self) -> None:
        """Learn what the writer has added since."""
        length = self.slots[_LENGTH]
        if length != self._read:
            for line in bytes(self._directory[self._read : length]).splitlines():
                self._learn(_decode(line))
            self._read = length

    def family(self, wanted: Family) -> int:
        """Its place in `families`, added where it is new. For the writer."""
        if wanted not in self.families:
            self._append(wanted)
        return self.families.index(wanted)

    def place(self, family: int, values: tuple[str, ...]) -> int:
        """The first slot of the series, added where it is new. For the writer. Raises SlotsFullError."""
        for series in self.series:
            if (series.family, series.values) == (family, values):
                return series.at
        series = Series(family, values, self.used)
        if self.used + self.families[family].width > SLOTS:
            raise SlotsFullError(f"{self.families[family].name} {values}: {SLOTS} slots are in use")
        self._append(series)
        return series.at

    def _append(self, entry: Family | Series) -> None:
        line = msgspec.json.encode(entry) + b"\n"
        end = self._read + len(line)
        if end > DIRECTORY_BYTES:
            raise SlotsFullError(f"{line.decode().strip()}: the directory is full")
        self._directory[self._read : end] = line
        self.slots[_LENGTH] = self._read = end
        self._learn(entry)

    def _learn(self, entry: Family | Series) -> None:
        if isinstance(entry, Family):
            self.families.append(entry)
        else:
            self.series.append(entry)
            self.used = max(self.used, entry.at + self.families[entry.family].width)


def anonymous_file(name: str) -> int:
    """A new empty file of SIZE bytes in memory, gone with the last process that holds it. Returns its descriptor."""
    file = os.memfd_create(name)
    os.ftruncate(file, SIZE)
    return file
