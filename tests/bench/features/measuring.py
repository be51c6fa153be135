"""The measurements of the feature path one after another, each in a process of its own."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
from rich.console import Console
from rich.progress import Progress

from tests.bench.features import joins, readers, report, writes
from tests.bench.features.alone import alone
from tests.bench.features.marks import JOINERS, READERS, READS, WRITERS, WRITES, Row
from tests.bench.features.stand import stand
from tests.bench.measure import NotComparableError
from tests.bench.terminal import progress

PARTS = ("reads", "writes", "joins")


@dataclass(frozen=True)
class Sizes:
    """Rows of each kind of measurement; `join_days`: whose rows are joined; `year`: whether a year's features are computed."""

    reads: Sequence[tuple[int, int]] = READS
    writes: Sequence[int] = WRITES
    join_rows: int = joins.ROWS
    join_days: joins.Days = joins.MONTH
    year: bool = True


class Bench:
    """One run's rows, in the order measured."""

    def __init__(self, targets: Sequence[str], seconds: float, sizes: Sizes, console: Console) -> None:
        self._targets, self._seconds, self._sizes, self._console = targets, seconds, sizes, console
        self.found: dict[str, list[Row]] = {part: [] for part in PARTS}
        self.failed: dict[str, str] = {}
        self.year_s: float | None = None

    def reads(self, folder: Path) -> None:
        self._console.print("reads: two days of features go to Redis by Feast's materialize")
        chosen = [t for t in READERS if t in self._targets]
        with stand(folder) as standing, progress(self._console) as bar:
            plan = [(target, size, at) for size, at in self._sizes.reads for target in chosen]

            def measured(target: str, size: int, at: int) -> Row:
                cpu_us, rate = alone(readers.measure, target, standing, size, at, self._seconds)
                row = {"rows": size, "concurrency": at, "cpu_us_per_call": round(cpu_us, 1)}
                return row | {"calls_per_second": round(rate, 1)}

            self._measure("reads", plan, measured, bar)

    def writes(self, folder: Path) -> None:
        self._console.print("writes: rows of one view go to a Redis of their own")
        chosen = self._with_reference(WRITERS)
        plan = [(target, size) for size in self._sizes.writes for target in chosen]

        def measured(target: str, size: int) -> Row:
            here, reference = (folder / f"{name}-{size}" for name in (target, WRITERS[0]))
            rate, peak_mb = alone(writes.measure, target, here, size)
            _need(writes.digest_path(reference), WRITERS[0])
            writes.check(here, reference)
            return {"rows": size, "rows_per_second": round(rate, 1), "peak_mb": round(peak_mb, 1)}

        with progress(self._console) as bar:
            self._measure("writes", plan, measured, bar)

    def joins(self, folder: Path) -> None:
        if self._sizes.year:
            self._console.print("joins: a year of flights becomes features")
            self.year_s = alone(joins.make_features, folder / "year", joins.YEAR)
        self._console.print("joins: flights of the days to be joined become features")
        alone(joins.make_features, folder, self._sizes.join_days)
        reference = joins.joined_path(folder, JOINERS[0])
        chosen = self._with_reference(JOINERS)

        def measured(target: str) -> Row:
            seconds, rows_out = alone(joins.join, target, folder, self._sizes.join_days, self._sizes.join_rows)
            if target == "ours":
                _need(reference, JOINERS[0])
                joins.check(pl.read_parquet(joins.joined_path(folder, target)), pl.read_parquet(reference))
            return {"rows": self._sizes.join_rows, "seconds": round(seconds, 3), "rows_out": rows_out}

        with progress(self._console) as bar:
            self._measure("joins", [(target,) for target in chosen], measured, bar)

    def _with_reference(self, known: Sequence[str]) -> list[str]:
        """Those that were chosen; the first, which ours is compared with, wherever ours is."""
        return [t for t in known if t in self._targets or (t == known[0] and "ours" in self._targets)]

    def _measure(self, part: str, plan: Sequence[tuple[Any, ...]], measured: Callable[..., Row], bar: Progress) -> None:
        task = bar.add_task("", total=len(plan))
        for target, *size in plan:
            name = f"{part} by {target}"
            if name not in self.failed:
                bar.update(task, description=" ".join([name, *map(str, size)]))
                try:
                    row = {"target": target} | measured(target, *size)
                except (NotComparableError, RuntimeError, OSError) as error:
                    self.failed[name] = f"failed: {error}"
                    self.found[part] = [r for r in self.found[part] if r["target"] != target]
                    bar.console.print(f"{name} failed: {error}", style="red", markup=False, highlight=False)
                else:
                    self.found[part].append(row)
                    bar.console.print(report.line(part, row), highlight=False, soft_wrap=True)
            bar.advance(task)


def _need(left: Path, reference: str) -> None:
    if not left.exists():
        raise NotComparableError(f"{reference} was not measured: there is nothing to compare with")
