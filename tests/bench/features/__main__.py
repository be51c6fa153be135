"""`make bench-features`: the feature path beside Feast's own, in one run on one machine.

Reads of the online store beside Feast's SDK and `feast serve`, writes beside Feast's materialize, point-in-time joins
beside Feast's offline stores. Every measurement runs in a process of its own; targets of a case follow one another, so that
a machine that slows down slows all. Answers, contents and joined values are compared before a figure counts.
"""

import argparse
import json
import platform
import signal
import sys
import tempfile
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path

from rich.console import Console

from orchestration.settings import Settings
from tests.bench import machine
from tests.bench.features import report
from tests.bench.features.marks import JOINERS, READERS, WRITERS, Found
from tests.bench.features.measuring import PARTS, Bench, Sizes
from tests.bench.features.report import Result
from tests.bench.terminal import console as terminal
from tests.bench.terminal import positive

SECONDS = 4
TARGETS = tuple(dict.fromkeys((*READERS, *WRITERS, *JOINERS)))


def main(argv: Sequence[str] | None = None, sizes: Sizes | None = None) -> int:
    """Exit 0 when every chosen target was measured, 1 when one failed, 130 when it was stopped."""
    options = _options(argv)
    console, facts = terminal(), _facts()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # as Ctrl-C: what was started is stopped
    console.print(*facts, sep="\n", highlight=False)
    try:
        result = run(options, sizes or Sizes(), console)
    except KeyboardInterrupt:
        console.print("Stopped, with everything that was started.")
        return 130
    _write(options, console, result, facts)
    return 1 if result.failed else 0


def run(options: argparse.Namespace, sizes: Sizes, console: Console) -> Result:
    """Measure what was chosen. A target that fails once, or is wrong, is given up in that part; the others go on."""
    options.folder.mkdir(parents=True, exist_ok=True)
    bench = Bench(options.targets, options.seconds, sizes, console)
    with tempfile.TemporaryDirectory(dir=options.folder, prefix="run-") as state:
        for part in options.parts:
            folder = Path(state) / part
            folder.mkdir()
            {"reads": bench.reads, "writes": bench.writes, "joins": bench.joins}[part](folder)
    return Result(bench.found, bench.year_s, bench.failed)


def _write(options: argparse.Namespace, console: Console, result: Result, facts: Sequence[str]) -> None:
    written = options.folder / "features.json"
    write(written, result.found)
    picture = report.PICTURE if options.write_docs else options.folder / "features.png"
    report.draw(result.found, picture)
    for table in report.tables(result):
        console.print(table)
    console.print(*report.sentences(result), sep="\n", highlight=False, markup=False)
    if options.write_docs:
        seconds = [] if options.seconds == SECONDS else [f"--seconds {options.seconds}"]
        report.write_docs(result, facts, f"make bench-features BENCH='{' '.join([*seconds, '--write-docs'])}'")
    console.print(f"{written}\n{picture}", highlight=False)


def write(path: Path, found: Found) -> None:
    """The rows as JSON, replaced in one step."""
    draft = path.with_suffix(".tmp")
    draft.write_text(json.dumps(found, indent=1) + "\n")
    draft.replace(path)


def _facts() -> list[str]:
    versions = ", ".join(f"{name} {version(name)}" for name in ("feast", "redis", "hiredis", "polars", "duckdb"))
    return [machine.processor(), f"Python {platform.python_version()}, {versions}"]


def _of(known: Sequence[str]) -> Callable[[str], list[str]]:
    def names(text: str) -> list[str]:
        unknown = [name for name in text.split(",") if name not in known]
        if unknown:
            raise argparse.ArgumentTypeError(f"{', '.join(unknown)}: choose from {', '.join(known)}")
        return text.split(",")

    return names


def _options(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = _parser()
    options = parser.parse_args(argv)
    if options.write_docs and (options.targets, options.parts) != (list(TARGETS), list(PARTS)):
        parser.error("--write-docs takes all targets and parts: the page has a row for each")
    return options


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tests.bench.features", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    listed = ", ".join
    parser.add_argument(
        "--targets", type=_of(TARGETS), default=list(TARGETS), help=f"of {listed(TARGETS)} (default all)"
    )
    parser.add_argument("--parts", type=_of(PARTS), default=list(PARTS), help=f"of {listed(PARTS)} (default all)")
    parser.add_argument("--seconds", type=positive, default=SECONDS, help=f"of load of a read (default {SECONDS})")
    parser.add_argument("--folder", type=Path, default=Settings.load().home / "bench", help="results (.local/bench)")
    parser.add_argument("--write-docs", action="store_true", help="put tables and picture into docs/")
    return parser


if __name__ == "__main__":
    sys.exit(main())
