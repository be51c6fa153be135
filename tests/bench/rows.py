"""The figures of a measurement, and how repetitions become one row."""

import dataclasses
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, median

Rows = Mapping[tuple[str, int], "Row"]


@dataclass(frozen=True)
class Row:
    """One target at one concurrency.

    `cpu_us_per_request` is of the target's whole process tree, background work until it is done included; 0 where nothing
    stands before Triton. `errors`: requests that failed, and answers of a gateway that its log lacks. `canary_share` and
    `shadow_share` are of the answered rows, by Triton's own count of the rows that each model scored.
    """

    target: str
    concurrency: int
    requests_per_second: float
    p50_us: float
    p99_us: float
    cpu_us_per_request: float
    errors: int
    canary_share: float
    shadow_share: float


def merged(repetitions: Iterable[Row]) -> list[Row]:
    """A row for each target and concurrency, in the order of their first.

    Medians, but errors are summed, the shadow's share is the least, and the canary's the mean: each repetition begins
    with other keys, so that together they say more of the split than any one.
    """
    groups: dict[tuple[str, int], list[Row]] = {}
    for row in repetitions:
        groups.setdefault((row.target, row.concurrency), []).append(row)
    return [_merged(group) for group in groups.values()]


def by_key(rows: Iterable[Row]) -> Rows:
    """The rows by (target, concurrency)."""
    return {(row.target, row.concurrency): row for row in rows}


def write(path: Path, rows: Iterable[Row]) -> None:
    """The rows as a JSON list, replaced in one step."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_suffix(".tmp")
    draft.write_text(json.dumps([_rounded(row) for row in rows], indent=1) + "\n")
    draft.replace(path)


def _merged(group: list[Row]) -> Row:
    figures = ("requests_per_second", "p50_us", "p99_us", "cpu_us_per_request")
    return dataclasses.replace(
        group[0],
        **{name: median(getattr(row, name) for row in group) for name in figures},
        canary_share=fmean(row.canary_share for row in group),
        errors=sum(row.errors for row in group),
        shadow_share=min(row.shadow_share for row in group),
    )


def _rounded(row: Row) -> dict[str, str | int | float]:
    return {name: round(v, 5) if isinstance(v, float) else v for name, v in dataclasses.asdict(row).items()}
