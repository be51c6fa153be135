"""Prometheus' text format, version 0.0.4, over the files of all workers."""

from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from itertools import accumulate

from serving_gateway.instruments.slots import Family, SlotFile

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_COMBINE: dict[str, Callable[[Sequence[int]], int]] = {
    "sum": sum,
    "min": min,
    "max": max,
    "own": lambda numbers: numbers[0],  # the answering worker's file comes first
}
_Found = dict[tuple[str, ...], list[list[int]]]  # label values to what each file has in the slots of that series


def exposition(files: Sequence[SlotFile]) -> bytes:
    """What the workers count together. Where they define a metric differently, the first file's definition holds.

    Counters and histograms count whether or not their writer lives; a gauge only while it accepts connections. The first
    file is the answering worker's own.
    """
    families: dict[str, tuple[Family, _Found]] = {}
    for file in files:
        file.refresh()
        for family in file.families:
            families.setdefault(family.name, (family, {}))
        _collect(file, families, living=file is files[0] or file.load > 0)
    return "".join(line for family, found in families.values() for line in _lines(family, found)).encode()


def _collect(file: SlotFile, families: dict[str, tuple[Family, _Found]], *, living: bool) -> None:
    numbers = file.slots[: file.used].tolist()
    # Where the series of each family gather; None for a family that is not shown as this file defines it.
    shown = [
        families[f.name][1] if families[f.name][0] == f and (living or f.kind != "gauge") else None
        for f in file.families
    ]
    for series in file.series:
        found = shown[series.family]
        if found is not None:
            width = file.families[series.family].width
            found.setdefault(series.values, []).append(numbers[series.at : series.at + width])


def _lines(family: Family, found: _Found) -> Iterator[str]:
    name = _name(family)
    yield f"# HELP {name} {_escaped(family.doc)}\n# TYPE {name} {family.kind}\n"
    for values, numbers in found.items():
        for start, number in zip(_starts(family, values), _combined(family, numbers), strict=True):
            yield f"{start}{number}\n"


def _combined(family: Family, numbers: list[list[int]]) -> list[float]:
    """The numbers of one series in the order of its lines."""
    if family.kind != "histogram":
        return [_COMBINE[family.combined]([n for (n,) in numbers]) / family.unit]
    *counts, total = map(sum, zip(*numbers, strict=True))
    buckets = list(map(float, accumulate(counts)))
    return [*buckets, buckets[-1], total / family.unit]


@lru_cache(maxsize=16_384)
def _starts(family: Family, values: tuple[str, ...]) -> list[str]:
    """The lines of one series up to the number."""
    labels = [f'{label}="{_quoted(value)}"' for label, value in zip(family.labels, values, strict=True)]
    if family.kind != "histogram":
        return [f"{_name(family)}{_braced(labels)} "]
    buckets = [_braced([f'le="{bound}"', *labels]) for bound in [*family.bounds, "+Inf"]]
    ends = [f"_count{_braced(labels)} ", f"_sum{_braced(labels)} "]
    return [*(f"{family.name}_bucket{bucket} " for bucket in buckets), *(f"{family.name}{end}" for end in ends)]


def _name(family: Family) -> str:
    return f"{family.name}_total" if family.kind == "counter" else family.name


def _braced(labels: list[str]) -> str:
    return f"{{{','.join(sorted(labels))}}}" if labels else ""


def _quoted(value: str) -> str:
    return _escaped(value).replace('"', r"\"")


def _escaped(text: str) -> str:
    return text.replace("\\", r"\\").replace("\n", r"\n")
