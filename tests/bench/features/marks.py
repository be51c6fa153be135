"""What the feature path must reach beside Feast's own, each as a figure of the rows with its bound."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tests.bench.marks import Judged, Mark, judge

Row = dict[str, Any]
Found = Mapping[str, Sequence[Row]]
Key = tuple[str | int, ...]
Rows = Mapping[Key, Row]

READERS = ("ours", "feast_sync", "feast_async", "feast_serve")
# of writers and joiners the first is what ours is compared with
WRITERS = ("feast_materialize", "ours")
JOINERS = ("feast_duckdb", "ours", "feast_dask")
READS = ((1, 1), (32, 1), (1, 64))  # rows a call, calls at a time
WRITES = (100_000, 500_000)  # rows
_READ_BOUNDS = {1: 6.0, 32: 12.0}


def by_key(found: Found) -> Rows:
    """The rows by what was measured: ("reads", target, rows, concurrency), ("writes", target, rows), ("joins", target)."""
    reads = {("reads", r["target"], r["rows"], r["concurrency"]): r for r in found["reads"]}
    writes = {("writes", r["target"], r["rows"]): r for r in found["writes"]}
    return reads | writes | {("joins", r["target"]): r for r in found["joins"]}


def judged(found: Found) -> list[Judged]:
    """Every mark, in order, with what came of it."""
    rows = by_key(found)
    return [judge(mark, rows) for mark in MARKS]


def _ratio(over: Key, under: Key, field: str) -> Callable[[Rows], float]:
    return lambda rows: rows[over][field] / rows[under][field]


def _rate_to_sdk(rows: Rows) -> float:
    """Against the faster of the SDK's two."""
    sdk = max(rows["reads", target, 1, 64]["calls_per_second"] for target in ("feast_sync", "feast_async"))
    return float(rows["reads", "ours", 1, 64]["calls_per_second"] / sdk)


def _lost(rows: Rows) -> float:
    ours = rows["joins", "ours"]
    return float(ours["rows"] - ours["rows_out"])


MARKS = (
    *(
        Mark(
            f"read of {size} row{'s' * (size > 1)}: CPU of {feast} over ours",
            _ratio(("reads", feast, size, 1), ("reads", "ours", size, 1), "cpu_us_per_call"),
            bound,
            form="{:.1f}",
        )
        for size, bound in _READ_BOUNDS.items()
        for feast in READERS[1:]
    ),
    Mark("reads of 1 row, 64 at a time: ours over the SDK's faster way", _rate_to_sdk, 20, form="{:.1f}"),
    *(
        Mark(
            f"write of {size:,} rows: ours over Feast's materialize, rows/s",
            _ratio(("writes", "ours", size), ("writes", "feast_materialize", size), "rows_per_second"),
            7,
            form="{:.1f}",
        )
        for size in WRITES
    ),
    *(
        Mark(
            f"write of {size:,} rows: memory of ours over that of Feast's materialize",
            _ratio(("writes", "ours", size), ("writes", "feast_materialize", size), "peak_mb"),
            0.25,
            at_least=False,
        )
        for size in WRITES
    ),
    Mark(
        "join: seconds of Feast's duckdb store over ours",
        _ratio(("joins", "feast_duckdb"), ("joins", "ours"), "seconds"),
        3,
        form="{:.1f}",
    ),
    Mark("join: rows that ours lost", _lost, 0, at_least=False, form="{:.0f}"),
)
