"""The benchmark's rows for people: lines and tables in the terminal, the section of docs/benchmarks.md."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from rich.table import Table

from tests.bench.marks import NOT_MEASURED, judged
from tests.bench.rows import Row, by_key
from tests.bench.targets import TARGETS
from tests.servers import ROOT

PAGE = ROOT / "docs" / "benchmarks.md"
PICTURE = ROOT / "docs" / "images" / "gateway-benchmark.png"
BEGIN, END = "<!-- written by make bench-gateway -->", "<!-- end of what make bench-gateway writes -->"
COLUMNS = ("target", "c", "req/s", "to direct", "p50 µs", "p99 µs", "CPU µs/req", "errors", "canary", "shadow")
_PARTS = {
    "direct": "wrk to Triton, binary tensors, the baseline alone",
    "nginx": "a reverse proxy before it: binary tensors, the baseline alone, keep-alive upstream",
    "nginx_mirror": "`split_clients` 10 % to the canary, `mirror` to the shadow",
    "fastapi": "FastAPI, one uvicorn worker with uvloop and httptools, `tritonclient.http.aio`: JSON in, sticky 10 %, shadow in the background, metrics",
    "gateway": "ours, one process: the same, and the prediction log",
    "gateway_single": "ours with group commit off",
    "gateway_entities": "ours by entities: 19 of the 26 features are read from Redis",
}


def line(row: Row) -> str:
    """One measurement, as it is made."""
    return (
        f"{row.target:<17} c = {row.concurrency:<3} {row.requests_per_second:>8,.0f} req/s   p50 {row.p50_us:>7,.0f} µs   "
        f"p99 {row.p99_us:>7,.0f} µs   CPU {row.cpu_us_per_request:>5,.0f} µs   errors {row.errors}   "
        f"canary {row.canary_share:.2%}   shadow {row.shadow_share:.2%}"
    )


def tables(rows: Sequence[Row]) -> Iterator[Table]:
    """Every row, and every mark with what came of it."""
    measured = Table(*COLUMNS, title="medians")
    for column in measured.columns[1:]:
        column.justify = "right"
    for cells in _cells(rows):
        measured.add_row(*cells)
    yield measured
    marks = Table("mark", "measured", "to be", "result", title="marks")
    for mark in judged(by_key(rows)):
        colour = {True: "green", False: "red", None: "dim"}[mark.met]
        marks.add_row(mark.what, mark.measured, mark.mark, f"[{colour}]{mark.verdict}[/]")
    yield marks


def write_docs(
    rows: Sequence[Row], skipped: Mapping[str, str], facts: Sequence[str], command: str, page: Path = PAGE
) -> None:
    """Replace what stands between the markers of `page`. Raises ValueError where it has none."""
    before, begin, rest = page.read_text().partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise ValueError(f"{page} lacks the markers {BEGIN} and {END}")
    page.write_text(before + begin + "\n\n" + section(rows, skipped, facts, command) + "\n" + end + after)


def section(rows: Sequence[Row], skipped: Mapping[str, str], facts: Sequence[str], command: str) -> str:
    """The figures as Markdown. A target that was skipped has rows without figures, and its reason below."""
    parts = [f"`{command}`, on:\n", *(f"- {fact}" for fact in facts), ""]
    parts += _table(COLUMNS, _cells(rows, skipped))
    parts += [f"Not measured: {name}, {why}." for name, why in skipped.items()]
    parts += ["", "| mark | measured | to be | result |", "|---|---:|---:|---|"]
    parts += [f"| {m.what} | {m.measured} | {m.mark} | {m.verdict} |" for m in judged(by_key(rows))]
    parts += ["", "| target | what it is |", "|---|---|"]
    parts += [f"| `{name}` | {_PARTS[name]} |" for name in TARGETS]
    return "\n".join(parts) + "\n"


def _table(columns: Sequence[str], cells: Iterator[list[str]]) -> list[str]:
    head = [f"| {' | '.join(columns)} |", "|---|" + "---:|" * (len(columns) - 1)]
    return [*head, *(f"| {' | '.join(row)} |" for row in cells), ""]


def _cells(rows: Sequence[Row], skipped: Mapping[str, str] | None = None) -> Iterator[list[str]]:
    found = by_key(rows)
    for concurrency in sorted({row.concurrency for row in rows}):
        direct = found.get(("direct", concurrency))
        for name in TARGETS:
            if (name, concurrency) in found:
                yield _figures(found[name, concurrency], direct)
            elif name in (skipped or {}):
                yield [name, str(concurrency), *[NOT_MEASURED] * (len(COLUMNS) - 2)]


def _figures(row: Row, direct: Row | None) -> list[str]:
    to_direct = f"{row.requests_per_second / direct.requests_per_second:.2f}" if direct else NOT_MEASURED
    return [
        row.target,
        str(row.concurrency),
        f"{row.requests_per_second:,.0f}",
        to_direct,
        f"{row.p50_us:,.0f}",
        f"{row.p99_us:,.0f}",
        f"{row.cpu_us_per_request:,.0f}",
        str(row.errors),
        f"{row.canary_share:.2%}",
        f"{row.shadow_share:.2%}",
    ]
