"""`python -m orchestration.backtest`: the year 2013 once more, through the platform's own decisions."""

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from orchestration.backtest.checkup import thresholds_of
from orchestration.backtest.course import Rules
from orchestration.backtest.lake import complete, make_lake
from orchestration.backtest.models import Models
from orchestration.backtest.plan import Plan
from orchestration.backtest.plots import write_plots
from orchestration.backtest.report import PageError, require_place, section, summary, write_section
from orchestration.backtest.results import Results
from orchestration.backtest.world import World
from orchestration.backtest.year import backtest
from orchestration.drift.folder import write_whole
from orchestration.health.past import rolling_origins
from orchestration.health.policy import HealthPolicy, HealthPolicyError, read_health_policy
from orchestration.ingestion.source import SourceError
from orchestration.rollout.policy import Policy, PolicyError, read_policy
from orchestration.settings import ROOT, Settings

PAGE = ROOT / "docs" / "evidence.md"
COLUMNS = (
    TextColumn("{task.description:24}"),
    BarColumn(),
    MofNCompleteColumn(),
    TimeElapsedColumn(),
    TimeRemainingColumn(),
)


def main(argv: list[str] | None = None) -> int:
    """Exit 0 with the figures written, whatever they say; 2 where a setting, a table or the page is not as it must be."""
    options = _parser().parse_args(argv)
    try:
        settings = Settings.load()
        require_place(options.page)
        rollout, health = read_policy(settings.rollout_policy), read_health_policy(settings.health_policy)
    except (ValueError, PolicyError, HealthPolicyError, PageError) as error:
        return _refused(error)
    try:
        with Progress(*COLUMNS) as shown:
            results = run(settings, Plan(), rollout, health, shown)
    except (OSError, SourceError) as error:
        return _refused(error)
    written = write(results, settings.home / "backtest", options.page)
    frozen, ours, weekly = results.log_loss
    print(
        f"Log-loss {frozen:.4f} frozen, {ours:.4f} ours, {weekly:.4f} retrained every week: {results.share:.1%} of the gain with "
        f"{len(results.retrains)} retrains; {results.false_alarms_per_quarter:.2f} false alarms a quarter"
    )
    for path in written:
        print(f"Written: {path}")
    return 0


def _refused(error: Exception) -> int:
    sys.stderr.write(f"no backtest: {error}\n")
    return 2


def run(settings: Settings, plan: Plan, rollout: Policy, health: HealthPolicy, shown: Progress) -> Results:
    """Make what is missing, fit, replay. Raises SourceError, MissingPartitionError."""

    def progress(name: str, steps: int) -> Callable[[], object]:
        task = shown.add_task(name, total=steps)
        return lambda: shown.advance(task)

    if not complete(settings.lake, plan.first, plan.end):
        done = progress("the lake of the year", 1)
        make_lake(settings.lake, settings.flights_source, plan.first, plan.end)
        done()
    world = World.read(settings.lake / "training", plan.first, plan.end, learned=plan.start)
    models = Models(world, plan.first, settings.home / "backtest" / "models", plan.rounds)
    history = (plan.first, plan.start)
    origins = [learned for (_, learned), _ in rolling_origins(history, health)]
    needed = sorted({*origins, *plan.mondays})
    models.fit_all(needed, progress("models", len(needed)))
    rules = Rules(rollout, health, thresholds_of(models, history, health))
    return backtest(models, plan, rules, settings.lake / "features", progress)


def write(results: Results, folder: Path, page: Path) -> list[Path]:
    """summary.json into `folder`, the section and its pictures into `page` and images/ beside it; returns the files."""
    folder.mkdir(parents=True, exist_ok=True)
    figures = folder / "summary.json"
    write_whole(figures, lambda draft: draft.write_text(json.dumps(summary(results), indent=2) + "\n"))
    plots = write_plots(results, page.parent / "images")
    write_section(page, section(results))
    return [figures, page, *plots]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m orchestration.backtest",
        description="Replay 2013 in event time through the functions that decide in production: health, retraining, trial, "
        "rollback; with ten injected faults. A quarter of an hour on two cores, a third of that once the models are kept.",
        epilog="Needs no server. Reads the lake of PLATFORM_HOME, or makes its days from the source tables; keeps models and "
        "summary.json in PLATFORM_HOME/backtest. Policies: ROLLOUT_POLICY_PATH, HEALTH_POLICY_PATH.",
    )
    parser.add_argument(
        "--page", type=Path, default=PAGE, help="Markdown file with the backtest's markers (default: docs/evidence.md)"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
