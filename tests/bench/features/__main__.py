"""`make bench-features`: the feature path beside Feast's own, in one run on one machine.

Every measurement runs in a process of its own; targets of a case follow one another, so that a machine that slows down
slows all.
"""

import argparse
import json
import multiprocessing
import platform
import sys
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from importlib.metadata import version
from pathlib import Path
from typing import Any

from rich.console import Console

from orchestration.settings import Settings
from tests.bench import machine
from tests.bench.features import joins, readers, report
from tests.bench.features.stand import stand

READERS = ("ours", "feast_sync", "feast_async", "feast_serve")
JOINERS = ("ours", "feast_duckdb", "feast_dask")
CASES = ((1, 1), (32, 1), (1, 64))  # rows a call, calls at a time
Row = dict[str, Any]


def main(argv: Sequence[str] | None = None) -> int:
    """Exit 0 when everything was measured."""
    options = _parser().parse_args(argv)
    console, facts = Console(width=None if sys.stdout.isatty() else 120), _facts()
    console.print(*facts, sep="\n", highlight=False)
    options.folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=options.folder, prefix="run-") as state:
        found = {"reads": _reads(Path(state) / "reads", options.seconds, console)}
        year_s, found["joins"] = _joins(Path(state) / "joins", console)
    (options.folder / "features.json").write_text(json.dumps(found, indent=1) + "\n")
    for table in report.tables(found, year_s):
        console.print(table)
    if options.write_docs:
        report.write_docs(found, year_s, facts)
    return 0


def _reads(folder: Path, seconds: float, console: Console) -> list[Row]:
    console.print("Two days of features go to Redis")
    rows: list[Row] = []
    with stand(folder) as standing:
        for size, concurrency in CASES:
            for target in READERS:
                cpu_us, rate = _alone(readers.measure, target, standing, size, concurrency, seconds)
                row = {"target": target, "rows": size, "concurrency": concurrency, "cpu_us_per_call": round(cpu_us, 1)}
                rows.append(row | {"calls_per_second": round(rate, 1)})
                console.print(report.read_line(rows[-1]), highlight=False)
    return rows


def _joins(folder: Path, console: Console) -> tuple[float, list[Row]]:
    console.print("A year of flights becomes features")
    year_s = _alone(joins.make_year, folder)
    rows: list[Row] = []
    for target in JOINERS:
        seconds, rows_out = _alone(joins.join, target, folder, "redis://127.0.0.1:1/0")  # Redis is not touched
        rows.append({"target": target, "rows": joins.ROWS, "seconds": round(seconds, 3), "rows_out": rows_out})
        console.print(report.join_line(rows[-1]), highlight=False)
    return year_s, rows


def _alone(function: Callable[..., Any], *arguments: Any) -> Any:
    """What the function returns, from a process of its own."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return pool.submit(function, *arguments).result()


def _facts() -> list[str]:
    versions = ", ".join(f"{name} {version(name)}" for name in ("feast", "redis", "hiredis", "polars", "duckdb"))
    return [machine.processor(), f"Python {platform.python_version()}, {versions}"]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="make bench-features BENCH=", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=4.0, help="of load a measurement (default 4)")
    parser.add_argument("--write-docs", action="store_true", help="write table and picture into docs/")
    parser.add_argument(
        "--folder",
        type=Path,
        default=Settings.load().home / "bench",
        help="of features.json (default PLATFORM_HOME/bench)",
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
