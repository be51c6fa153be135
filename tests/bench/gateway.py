"""`make bench-gateway`: the gateway beside direct Triton, nginx and FastAPI, in one run on one machine.

Every target scores rows of the same model in every arm. A measurement starts its target afresh, compares its scores with
ONNX Runtime's, warms it up for a second, loads it over keep-alive connections, and counts until its background work is
done. Repetitions are interleaved: a machine that slows down slows all.
"""

import argparse
import signal
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.progress import Progress

from orchestration.settings import Settings
from tests.bench import machine, report
from tests.bench import rows as figures
from tests.bench.backends import backends
from tests.bench.load import MISSING, LoadError, available
from tests.bench.measure import Bench, NotComparableError, measure, prepare
from tests.bench.plot import draw
from tests.bench.rows import Row, merged
from tests.bench.targets import TARGETS
from tests.bench.terminal import console as terminal
from tests.bench.terminal import positive, progress
from tests.bench.workload import workload

CONCURRENCY = (1, 8, 32)
REPETITIONS, SECONDS = 3, 5


def main(argv: Sequence[str] | None = None) -> int:
    """Exit 0 when every chosen target was measured or skipped by name, 1 when one failed or nothing could be measured."""
    options = _options(argv)
    console = terminal()
    if not available():
        console.print(f"Nothing measured: {MISSING}")
        return 1
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # as Ctrl-C: what was started is stopped
    facts = machine.facts()
    console.print(*facts, sep="\n", highlight=False)
    try:
        result = run(options, console)
    except KeyboardInterrupt:
        console.print("Stopped, with everything that was started.")
        return 130
    if result.rows:
        _write(options, console, result, facts)
    return 1 if result.failed or not result.rows else 0


@dataclass(frozen=True)
class Result:
    """Merged rows, and why a target has none: something it needs is missing, or a measurement of it failed."""

    rows: list[Row]
    skipped: dict[str, str]
    failed: dict[str, str]


def run(options: argparse.Namespace, console: Console) -> Result:
    """Measure what was chosen. A target that fails once is given up; the others go on."""
    skipped = {name: why for name in options.targets if (why := TARGETS[name].missing())}
    for name, why in skipped.items():
        console.print(f"skipped {name}: {why}", highlight=False)
    names = [name for name in options.targets if name not in skipped]
    options.folder.mkdir(parents=True, exist_ok=True)
    console.print("Computing features of three months of flights and training the model", highlight=False)
    made = workload()
    with tempfile.TemporaryDirectory(dir=options.folder, prefix="run-") as state:
        folder = Path(state)
        prepared = {name: prepare(made, folder, name) for name in names}
        console.print("Starting Redis and Triton, publishing the model as baseline, canary and shadow")
        with backends(folder, made) as standing, progress(console) as bar:
            bench = Bench(made, standing, folder, prepared, options.seconds)
            found, failed = _measured(bench, list(_plan(names, options.concurrency, options.repetitions)), bar)
    return Result(merged(row for row in found if row.target not in failed), skipped, failed)


def _measured(bench: Bench, plan: Sequence[tuple[int, int, str]], bar: Progress) -> tuple[list[Row], dict[str, str]]:
    """The rows in the order measured, and the targets that failed, with the reason."""
    found, failed = list[Row](), dict[str, str]()
    task = bar.add_task("", total=len(plan))
    for repetition, connections, target in plan:
        if target not in failed:
            bar.update(task, description=f"{target}, c = {connections}")
            try:
                row = measure(bench, target, connections=connections, repetition=repetition)
            except (NotComparableError, LoadError, RuntimeError, OSError) as error:
                failed[target] = f"failed: {error}"
                bar.console.print(f"{target} failed: {error}", style="red", markup=False, highlight=False)
            else:
                found.append(row)
                bar.console.print(report.line(row), highlight=False, soft_wrap=True)
        bar.advance(task)
    return found, failed


def _plan(names: Sequence[str], concurrency: Sequence[int], repetitions: int) -> Iterator[tuple[int, int, str]]:
    """Targets side by side within a concurrency, all of it again for each repetition, another target first."""
    for r in range(repetitions):
        turn = r % max(1, len(names))
        yield from ((r, c, name) for c in concurrency for name in (*names[turn:], *names[:turn]))


def _write(options: argparse.Namespace, console: Console, result: Result, facts: Sequence[str]) -> None:
    rows = result.rows
    written = options.folder / "gateway.json"
    figures.write(written, rows)
    picture = report.PICTURE if options.write_docs else options.folder / "gateway.png"
    draw(rows, picture)
    for table in report.tables(rows):
        console.print(table)
    if options.write_docs:
        command = f"make bench-gateway BENCH='{' '.join(_arguments(options))}'"
        report.write_docs(rows, result.skipped | result.failed, facts, command)
    console.print(f"{written}\n{picture}", highlight=False)


def _arguments(options: argparse.Namespace) -> list[str]:
    """What to give to `make bench-gateway` for the same again."""
    given = [] if options.repetitions == REPETITIONS else [f"--repetitions {options.repetitions}"]
    given += [] if options.seconds == SECONDS else [f"--seconds {options.seconds}"]
    return [*given, "--write-docs"]


def _list(numbers: Sequence[int]) -> str:
    return ",".join(map(str, numbers))


def _names(text: str) -> list[str]:
    names = text.split(",")
    unknown = [name for name in names if name not in TARGETS]
    if unknown:
        raise argparse.ArgumentTypeError(f"{', '.join(unknown)}: choose from {', '.join(TARGETS)}")
    return names


def _positives(text: str) -> list[int]:
    return [positive(part) for part in text.split(",")]


def _options(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = _parser()
    options = parser.parse_args(argv)
    if options.write_docs and (options.targets, options.concurrency) != (list(TARGETS), list(CONCURRENCY)):
        parser.error("--write-docs takes all targets and concurrencies: the page has a row for each")
    return options


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tests.bench.gateway", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--targets", type=_names, default=list(TARGETS), help=f"of {', '.join(TARGETS)} (default all)")
    parser.add_argument(
        "--concurrency", type=_positives, default=list(CONCURRENCY), help=f"connections (default {_list(CONCURRENCY)})"
    )
    parser.add_argument("--repetitions", type=positive, default=REPETITIONS, help=f"(default {REPETITIONS})")
    parser.add_argument("--seconds", type=positive, default=SECONDS, help=f"of each measurement (default {SECONDS})")
    parser.add_argument("--folder", type=Path, default=Settings.load().home / "bench", help="results (.local/bench)")
    parser.add_argument("--write-docs", action="store_true", help="put table and picture into docs/")
    return parser


if __name__ == "__main__":
    sys.exit(main())
