"""python -m orchestration.rollout.simulation: the error rates and the speed of the tests, on the flights of 2013."""

import argparse
import json
import sys
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from orchestration.drift.folder import write_whole
from orchestration.ingestion.source import SourceError
from orchestration.rollout.policy import shipped_policy
from orchestration.rollout.simulation.experiments import EXPERIMENTS
from orchestration.rollout.simulation.flights import read_flights
from orchestration.rollout.simulation.report import figures, section, write_section
from orchestration.rollout.simulation.run import prepared, simulate
from orchestration.settings import ROOT, Settings

REQUESTS = 20_000
PAGE = ROOT / "docs" / "evidence.md"


def main(arguments: list[str] | None = None) -> int:
    """Exit 0 with the figures written, 1 where the flights are not there."""
    options = _options(arguments)
    console = Console(stderr=True)
    try:
        settings = Settings.load()
        console.print("the flights and their model …")
        flights = read_flights(settings.lake, source=settings.flights_source)
    except (SourceError, ValueError) as error:
        print(f"simulation: {error}", file=sys.stderr)
        return 1
    policy = shipped_policy().evidence
    material = prepared(flights, policy, requests=REQUESTS, seed=options.seed)
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.completed}/{task.total}"))
    with Progress(*columns, TimeRemainingColumn(), console=console) as progress:
        task = progress.add_task("runs", total=options.runs * len(EXPERIMENTS))
        results = simulate(
            material, runs=options.runs, seed=options.seed, done=lambda runs: progress.advance(task, runs)
        )
    found = figures(results, runs=options.runs, requests=REQUESTS, seed=options.seed)
    output = options.output or settings.home / "backtest" / "simulation.json"
    text = section(results, policy, runs=options.runs, requests=REQUESTS, seed=options.seed)
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        write_whole(output, lambda draft: draft.write_text(json.dumps(found, indent=2) + "\n"))
        write_section(options.page, text)
    except OSError as error:
        print(f"simulation: {error}", file=sys.stderr)
        return 1
    print(text)
    return 0


def _options(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m orchestration.rollout.simulation",
        description="Simulate trials of innocent and of bad canaries through the functions that judge them; write the "
        f"figures as JSON and their tables into docs/evidence.md. {REQUESTS:,} canary requests a run; a thousand runs take "
        "some minutes.",
    )
    parser.add_argument("--runs", type=_count, default=1000, help="runs of each experiment [1000]")
    parser.add_argument("--seed", type=_seed, default=2013, help="the same seed gives the same figures [2013]")
    parser.add_argument(
        "--output", type=Path, help="file for the figures [PLATFORM_HOME/backtest/simulation.json]", metavar="FILE"
    )
    parser.add_argument(
        "--page", type=Path, default=PAGE, help="page for the tables [docs/evidence.md]", metavar="FILE"
    )
    return parser.parse_args(arguments)


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"must be a whole number from 1 on, got {text!r}")
    return int(text)


def _seed(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"must be a whole number from 0 on, got {text!r}")
    return int(text)


if __name__ == "__main__":
    sys.exit(main())
