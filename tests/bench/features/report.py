"""The figures of the feature path for people: lines and tables in the terminal, the section of docs/benchmarks.md."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.table import Table

from tests.bench.features.joins import days_stated
from tests.servers import ROOT

PAGE = ROOT / "docs" / "benchmarks.md"
PICTURE = ROOT / "docs" / "images" / "features-benchmark.png"
BEGIN, END = "<!-- features: written by make bench-features -->", "<!-- features: end -->"
Row = dict[str, Any]
Found = Mapping[str, Sequence[Row]]


def read_line(row: Row) -> str:
    """One measurement of a reader."""
    return (
        f"{row['target']:<12} {row['rows']:>3} rows, {row['concurrency']:>3} at a time"
        f" {row['cpu_us_per_call']:>9,.0f} µs CPU a call {row['calls_per_second']:>9,.0f} calls/s"
    )


def join_line(row: Row) -> str:
    """One measurement of a join."""
    return f"{row['target']:<12} {row['rows']:,} rows in, {row['rows_out']:,} out, {row['seconds']:.2f} s"


def marks(found: Found) -> list[tuple[str, str, str, str]]:
    """(what, measured, to be, result) of every promise, against the best of Feast's ways."""
    reads = {(r["target"], r["rows"], r["concurrency"]): r for r in found["reads"]}
    joins = {r["target"]: r for r in found["joins"]}

    def cpu(rows: int) -> float:
        ours = reads["ours", rows, 1]["cpu_us_per_call"]
        return float(
            min(reads[t, rows, 1]["cpu_us_per_call"] for t in ("feast_sync", "feast_async", "feast_serve")) / ours
        )

    rate = reads["ours", 1, 64]["calls_per_second"] / max(
        reads[t, 1, 64]["calls_per_second"] for t in ("feast_sync", "feast_async")
    )
    kept = joins["ours"]["rows_out"] == joins["ours"]["rows"]
    duckdb = joins["feast_duckdb"]["seconds"] / joins["ours"]["seconds"]
    judged = [
        ("CPU of a call, 1 row: Feast's cheapest way to ours", cpu(1), 6.0),
        ("CPU of a call, 32 rows: Feast's cheapest way to ours", cpu(32), 12.0),
        ("64 calls at a time: ours to the SDK's best", rate, 20.0),
        ("join: Feast's duckdb to ours", duckdb, 3.0),
    ]
    rows = [(what, f"{m:.1f}x", f">= {to_be:g}x", "met" if m >= to_be else "missed") for what, m, to_be in judged]
    return [*rows, ("rows out = rows in", "yes" if kept else "no", "yes", "met" if kept else "missed")]


def tables(found: Found, year_s: float) -> Iterator[Table]:
    """All figures, and what came of each promise."""
    reads = Table("target", "rows", "at a time", "CPU µs/call", "calls/s", title="reads")
    for row in found["reads"]:
        reads.add_row(*_read_cells(row))
    joins = Table("target", "rows in", "rows out", "seconds", title="point-in-time joins")
    for row in found["joins"]:
        joins.add_row(*_join_cells(row))
    promises = Table("mark", "measured", "to be", "result", title="marks")
    for cells in marks(found):
        promises.add_row(*cells)
    yield from (reads, joins, promises)
    yield Table(title=f"{days_stated()} days of raw flights and weather become nine feature views in {year_s:.1f} s")


def write_docs(found: Found, year_s: float, facts: Sequence[str], page: Path = PAGE) -> None:
    """Replace what stands between the markers of `page`, and the picture. Raises ValueError where it has none."""
    before, begin, rest = page.read_text().partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise ValueError(f"{page} lacks the markers {BEGIN} and {END}")
    page.write_text(before + begin + "\n\n" + "\n".join(_section(found, year_s, facts)) + "\n" + end + after)
    draw(found, PICTURE)


def _section(found: Found, year_s: float, facts: Sequence[str]) -> Iterator[str]:
    yield from ("`make bench-features BENCH=--write-docs`, on:", "", *(f"- {fact}" for fact in facts), "")
    yield from ("| target | rows a call | at a time | CPU µs/call | calls/s |", "|---|---:|---:|---:|---:|")
    yield from (_line(_read_cells(row)) for row in found["reads"])
    yield from ("", "| join | rows in | rows out | seconds |", "|---|---:|---:|---:|")
    yield from (_line(_join_cells(row)) for row in found["joins"])
    yield from ("", f"{days_stated()} days of raw flights and weather become nine feature views in {year_s:.1f} s.")
    yield from ("", "| mark | measured | to be | result |", "|---|---:|---:|---|", *map(_line, marks(found)))


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _read_cells(row: Row) -> list[str]:
    cpu, rate = f"{row['cpu_us_per_call']:,.0f}", f"{row['calls_per_second']:,.0f}"
    return [row["target"], str(row["rows"]), str(row["concurrency"]), cpu, rate]


def _join_cells(row: Row) -> list[str]:
    return [row["target"], f"{row['rows']:,}", f"{row['rows_out']:,}", f"{row['seconds']:.2f}"]


def draw(found: Found, path: Path) -> None:
    """CPU of a call and rate of 64 at a time as bars."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 3.2), layout="constrained")
    left, right = figure.subplots(1, 2)
    for axes, (rows, concurrency), field, title in (
        (left, (32, 1), "cpu_us_per_call", "CPU µs of a call of 32 rows"),
        (right, (1, 64), "calls_per_second", "calls a second, 64 at a time"),
    ):
        chosen = [r for r in found["reads"] if (r["rows"], r["concurrency"]) == (rows, concurrency)][::-1]
        bars = axes.barh([r["target"] for r in chosen], [r[field] for r in chosen], color="#4878a8")
        axes.bar_label(bars, fmt="{:,.0f}", padding=3)
        axes.set_title(title, fontsize=10)
        axes.margins(x=0.2)
        axes.spines[["top", "right"]].set_visible(False)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)
