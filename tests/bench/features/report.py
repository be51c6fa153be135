"""The figures of the feature path for people: lines and tables in the terminal, the section of docs/benchmarks.md."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from rich.table import Table

from orchestration.plots import new_figure
from tests.bench.features.joins import days_stated
from tests.bench.features.marks import JOINERS, READERS, READS, WRITERS, WRITES, Found, Key, Row, by_key, judged
from tests.bench.marks import NOT_MEASURED
from tests.servers import ROOT

PAGE = ROOT / "docs" / "benchmarks.md"
PICTURE = ROOT / "docs" / "images" / "features-benchmark.png"
BEGIN, END = "<!-- written by make bench-features -->", "<!-- end of what make bench-features writes -->"
READ_COLUMNS = ("read", "rows a call", "at a time", "CPU µs/call", "calls/s")
WRITE_COLUMNS = ("write", "rows", "rows/s", "peak MB")
JOIN_COLUMNS = ("join", "rows in", "rows out", "seconds")
MARK_COLUMNS = ("mark", "measured", "to be", "result")


@dataclass(frozen=True)
class Result:
    """Rows of what was measured, seconds of a year's features (None: not computed), and why a target has no row."""

    found: Found
    year_s: float | None = None
    failed: Mapping[str, str] = field(default_factory=dict)


def line(kind: str, row: Row) -> str:
    """One measurement of "reads", "writes" or "joins", as it is made."""
    if kind == "reads":
        return (
            f"{row['target']:<17} {row['rows']:>3} rows, {row['concurrency']:>3} at a time"
            f" {row['cpu_us_per_call']:>9,.0f} µs CPU a call {row['calls_per_second']:>9,.0f} calls/s"
        )
    if kind == "writes":
        return (
            f"{row['target']:<17} {row['rows']:,} rows, {row['rows_per_second']:,.0f} rows/s, {row['peak_mb']:,.0f} MB"
        )
    return f"{row['target']:<17} {row['rows']:,} rows in, {row['rows_out']:,} out, {row['seconds']:.2f} s"


def tables(result: Result) -> Iterator[Table]:
    """All figures, and what came of each mark."""
    for columns, cells in _sections(result):
        table = Table(*columns)
        for column in table.columns[1:]:
            column.justify = "right"
        for row in cells:
            table.add_row(*row)
        yield table
    marks = Table(*MARK_COLUMNS, title="marks")
    for mark in judged(result.found):
        colour = {True: "green", False: "red", None: "dim"}[mark.met]
        marks.add_row(mark.what, mark.measured, mark.mark, f"[{colour}]{mark.verdict}[/]")
    yield marks


def sentences(result: Result) -> Iterator[str]:
    """What the tables do not say by themselves."""
    lost = [r for r in result.found["joins"] if r["rows_out"] != r["rows"]]
    yield from (f"`{r['target']}` lost {r['rows'] - r['rows_out']:,} of {r['rows']:,} rows." for r in lost)
    if result.year_s is not None:
        yield f"{days_stated()} days of raw flights and weather become nine feature views in {result.year_s:.1f} s."
    yield from (f"Not measured: {name}, {why}." for name, why in result.failed.items())


def write_docs(result: Result, facts: Sequence[str], command: str, page: Path = PAGE) -> None:
    """Replace what stands between the markers of `page`. Raises ValueError where it has none."""
    before, begin, rest = page.read_text().partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise ValueError(f"{page} lacks the markers {BEGIN} and {END}")
    page.write_text(before + begin + "\n\n" + section(result, facts, command) + "\n" + end + after)


def section(result: Result, facts: Sequence[str], command: str) -> str:
    """The figures as Markdown."""
    parts = [f"`{command}`, on:\n", *(f"- {fact}" for fact in facts), ""]
    for columns, cells in _sections(result):
        parts += [*_table(columns, cells), ""]
    parts += [part for sentence in sentences(result) for part in (sentence, "")]
    parts += _table(MARK_COLUMNS, [[m.what, m.measured, m.mark, m.verdict] for m in judged(result.found)])
    return "\n".join(parts) + "\n"


def _table(columns: Sequence[str], cells: Sequence[Sequence[str]]) -> list[str]:
    head = [f"| {' | '.join(columns)} |", "|---|" + "---:|" * (len(columns) - 1)]
    return [*head, *(f"| {' | '.join(row)} |" for row in cells)]


def _sections(result: Result) -> list[tuple[Sequence[str], list[list[str]]]]:
    """Each table's columns and cells; what was not measured has a row without figures."""
    rows = by_key(result.found)
    reads: list[tuple[list[str], Key, tuple[str, ...]]] = [
        ([target, str(size), str(at)], ("reads", target, size, at), ("cpu_us_per_call", "calls_per_second"))
        for size, at in READS
        for target in READERS
    ]
    writes: list[tuple[list[str], Key, tuple[str, ...]]] = [
        ([target, f"{size:,}"], ("writes", target, size), ("rows_per_second", "peak_mb"))
        for size in WRITES
        for target in WRITERS
    ]
    return [
        (READ_COLUMNS, [[*named, *_figures(rows.get(key), fields)] for named, key, fields in reads]),
        (WRITE_COLUMNS, [[*named, *_figures(rows.get(key), fields)] for named, key, fields in writes]),
        (JOIN_COLUMNS, [[target, *_joined(rows.get(("joins", target)))] for target in JOINERS]),
    ]


def _figures(row: Row | None, fields: Sequence[str]) -> list[str]:
    return [f"{row[name]:,.0f}" if row else NOT_MEASURED for name in fields]


def _joined(row: Row | None) -> list[str]:
    return [f"{row['rows']:,}", f"{row['rows_out']:,}", f"{row['seconds']:.2f}"] if row else [NOT_MEASURED] * 3


def draw(found: Found, path: Path) -> None:
    """Write a PNG: CPU of a read, rate of 64 at a time, rate of the larger write, seconds of the join; a bar each target."""
    rows, figure = by_key(found), new_figure(11, 4.6)
    panels = (
        ("CPU µs of a read of 32 rows", [(t, ("reads", t, 32, 1)) for t in READERS], "cpu_us_per_call"),
        ("reads of 1 row a second, 64 at a time", [(t, ("reads", t, 1, 64)) for t in READERS], "calls_per_second"),
        (
            f"rows written a second, of {WRITES[-1]:,}",
            [(t, ("writes", t, WRITES[-1])) for t in WRITERS],
            "rows_per_second",
        ),
        ("seconds of a join", [(t, ("joins", t)) for t in JOINERS], "seconds"),
    )
    for axes, (title, keys, name) in zip(figure.subplots(2, 2).flat, panels, strict=True):
        chosen = [(target, rows[key][name]) for target, key in keys if key in rows][::-1]
        bars = axes.barh([target for target, _ in chosen], [value for _, value in chosen], color="#4292c6")
        axes.bar_label(bars, [f"{value:,.{0 if value >= 10 else 2}f}" for _, value in chosen], fontsize=7, padding=3)
        axes.set_title(title, fontsize=10)
        axes.margins(x=0.2)
        axes.spines[["top", "right"]].set_visible(False)
        axes.tick_params(axis="both", labelsize=8, length=0)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)
