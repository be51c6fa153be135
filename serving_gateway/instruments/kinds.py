"""What callers hold: counters, gauges and histograms. Each change is one addition to a slot."""

from bisect import bisect_left
from collections.abc import Callable, Sequence
from functools import cache
from typing import Literal

from serving_gateway.instruments.slots import Family, SlotFile

_HALF = 1 << 63


class Counter:
    """Only grows."""

    __slots__ = ("_at", "_slots")

    def __init__(self, slots: "memoryview[int]", at: int) -> None:
        self._slots = slots
        self._at = at

    def inc(self, times: int = 1) -> None:
        """Count `times` more."""
        self._slots[self._at] += times


class Gauge:
    """Is what it was last set to."""

    __slots__ = ("_at", "_slots", "_unit")

    def __init__(self, slots: "memoryview[int]", at: int, unit: int) -> None:
        self._slots = slots
        self._at = at
        self._unit = unit
        slots[at] = 0  # whatever a former life left

    def set(self, value: float) -> None:
        """Now it is `value`, to the nearest part of its unit."""
        self._slots[self._at] = round(value * self._unit)


class Histogram:
    """Counts by bucket, and the sum."""

    __slots__ = ("_at", "_bounds", "_slots", "_sum", "_unit")

    def __init__(self, slots: "memoryview[int]", at: int, bounds: tuple[float, ...], unit: int) -> None:
        self._slots = slots
        self._at = at
        self._bounds = bounds
        self._sum = at + len(bounds) + 1
        self._unit = unit

    def observe(self, *values: float) -> None:
        """`values` were seen. A value on a bound belongs below it."""
        slots, at, bounds, unit = self._slots, self._at, self._bounds, self._unit
        total = slots[self._sum]
        for value in values:
            slots[at + bisect_left(bounds, value)] += 1
            total += int(value * unit)
        slots[self._sum] = (total + _HALF) % (2 * _HALF) - _HALF  # a sum that wraps must cost no answer


class Instruments:
    """Makes instruments in `file`. Those with labels are made when first asked for, once."""

    def __init__(self, file: SlotFile) -> None:
        self._file = file

    def counter(self, name: str, doc: str) -> Counter:
        """A counter without labels; `_total` is added to its name where it is shown."""
        return self.counters(name, doc, ())()

    def counters(self, name: str, doc: str, labels: Sequence[str]) -> Callable[..., Counter]:
        """A counter for each combination of label values, given in the order of `labels`."""
        family = self._file.family(Family(name, "counter", doc, tuple(labels)))
        return cache(lambda *values: Counter(self._file.slots, self._file.place(family, values)))

    def gauge(self, name: str, doc: str, *, combined: Literal["sum", "min", "max", "own"], unit: int = 1) -> Gauge:
        """A gauge without labels."""
        return self.gauges(name, doc, (), combined=combined, unit=unit)()

    def gauges(
        self,
        name: str,
        doc: str,
        labels: Sequence[str],
        *,
        combined: Literal["sum", "min", "max", "own"],
        unit: int = 1,
    ) -> Callable[..., Gauge]:
        """A gauge for each combination of label values. `unit`: the parts of one that it is kept in."""
        wanted = Family(name, "gauge", doc, tuple(labels), unit, combined=combined)
        family = self._file.family(wanted)
        for series in self._file.series:
            if series.family == family:
                Gauge(self._file.slots, series.at, unit)
        return cache(lambda *values: Gauge(self._file.slots, self._file.place(family, values), unit))

    def histograms(
        self, name: str, doc: str, labels: Sequence[str], *, bounds: Sequence[float], unit: int
    ) -> Callable[..., Histogram]:
        """A histogram for each combination of label values. `unit`: the parts of one that its sum is kept in."""
        limits = tuple(map(float, bounds))
        family = self._file.family(Family(name, "histogram", doc, tuple(labels), unit, limits))
        return cache(lambda *values: Histogram(self._file.slots, self._file.place(family, values), limits, unit))
