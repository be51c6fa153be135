"""Judge a registered model again: `python -m orchestration.training.validate_metrics`."""

import argparse
import json
import os
import sys
from dataclasses import asdict, dataclass
from datetime import date, datetime
from pathlib import Path
from typing import get_args

import polars as pl
from rich.console import Console
from rich.table import Table

from orchestration.features.views import view_window
from orchestration.ingestion.partitions import MissingPartitionError
from orchestration.settings import Settings
from orchestration.training.contract import triton_name
from orchestration.training.evaluation import Metrics
from orchestration.training.gates import GateResult, GatesError, read_gates
from orchestration.training.holdout import Days, judge_on, read_samples
from orchestration.training.recipe import TrainingDataError
from orchestration.training.registry import Alias, RegistryError, fetch_alias, holdout_days
from serving_gateway.contracts import ModelContract

PASSED, FAILED, CANNOT = 0, 1, 2
# MLflow's client would otherwise ask a server that is down for minutes, and draw bars while it downloads.
_PATIENCE = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1", "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false"}


class CannotValidateError(Exception):
    """There is nothing to judge, or nothing to judge it on; the message says what to do."""


@dataclass(frozen=True)
class Validation:
    """A registered model on the days [days[0], days[1]) of stored training rows."""

    contract: ModelContract
    days: Days
    metrics: Metrics
    gates: GateResult


def main(arguments: list[str] | None = None) -> int:
    """Exit code: 0 every metric within its bound, 1 not, 2 cannot tell."""
    wanted = _parser().parse_args(arguments)
    console = Console(highlight=False, soft_wrap=True)
    for name, value in _PATIENCE.items():
        os.environ.setdefault(name, value)
    try:
        days = _given_days(wanted.start, wanted.end)
        found = validate(Settings.load(), wanted.alias, days)
        _show(console, found)
        if wanted.json:
            _write(wanted.json, found)
    except (CannotValidateError, ValueError) as error:
        print(f"cannot validate: {error}", file=sys.stderr)
        return CANNOT
    return PASSED if found.gates.passed else FAILED


def validate(settings: Settings, alias: Alias, days: Days | None) -> Validation:
    """Score the stored training rows of `days`, by default of the hold-out that the training run logged.

    Raises:
        CannotValidateError: no such model, no such rows, rows that the model was trained on, unreadable gates or rows.
    """
    import mlflow
    from mlflow.exceptions import MlflowException

    mlflow.set_tracking_uri(settings.mlflow_url)
    training = settings.lake / "training"
    try:
        gates = read_gates(settings.metric_gates)
        found = fetch_alias(mlflow, alias)
        first, last = days or _parse(*holdout_days(mlflow, found.contract).split("/"))
        _not_trained_on(found.contract, (first, last))
        samples = read_samples(training, found.contract.inputs, (first, last))
        judged = judge_on(found.onnx, samples, gates)
    except MissingPartitionError as error:
        raise CannotValidateError(f"{error}; materialize training_rows for these days") from error
    except pl.exceptions.PolarsError as error:
        raise CannotValidateError(f"{training} cannot be read: {error}; materialize training_rows again") from error
    except MlflowException as error:
        raise CannotValidateError(f"MLflow at {settings.mlflow_url}: {error.message}; is the platform up?") from error
    except (GatesError, RegistryError, TrainingDataError) as error:
        raise CannotValidateError(str(error)) from error
    return Validation(found.contract, (first, last), judged.metrics, judged.gates)


def _not_trained_on(contract: ModelContract, days: Days) -> None:
    if view_window(*days)[0] < datetime.fromisoformat(contract.training_end):
        raise CannotValidateError(
            f"{triton_name(contract)} was trained on requests up to {contract.training_end}: what it scores on the days "
            f"from {days[0]} says nothing; give later ones"
        )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m orchestration.training.validate_metrics",
        description="Judge a registered model on stored training rows by the metric gates (METRIC_GATES_PATH). "
        "Exit code 0: every metric is within its bound; 1: one is not; 2: cannot tell.",
        epilog="Needs MLflow and, for the days asked for, materialized training rows. "
        "Example: --alias champion --start 2013-04-01 --end 2013-05-01",
    )
    parser.add_argument("--alias", choices=get_args(Alias), default="champion", help="which model (default: champion)")
    parser.add_argument("--start", metavar="DAY", help="first day by scheduled departure, YYYY-MM-DD")
    parser.add_argument(
        "--end", metavar="DAY", help="day after the last; default of both: the hold-out of the model's own training run"
    )
    parser.add_argument("--json", metavar="FILE", type=Path, help="also write the figures to FILE")
    return parser


def _given_days(start: str | None, end: str | None) -> Days | None:
    if start is None and end is None:
        return None
    if start is None or end is None:
        raise CannotValidateError("give both --start and --end, or neither")
    return _parse(start, end)


def _parse(start: str, end: str) -> Days:
    try:
        first, last = date.fromisoformat(start), date.fromisoformat(end)
    except ValueError as error:
        raise CannotValidateError(f"days must be YYYY-MM-DD: {error}") from error
    if last <= first:
        raise CannotValidateError(f"{start} to {end} (exclusive) holds no day")
    return first, last


def _show(console: Console, found: Validation) -> None:
    table = Table("metric", "value", "bound", "ok", title=f"{triton_name(found.contract)}, {_said(found.days)}")
    for one in found.gates.judged:
        table.add_row(one.metric, f"{one.value:.4f}", str(one.bound), "yes" if one.ok else "[red]NO[/]")
    console.print(table)
    console.print("passed" if found.gates.passed else f"FAILED: {found.gates.reason}")


def _write(path: Path, found: Validation) -> None:
    document = {
        "model": triton_name(found.contract),
        "mlflow_run_id": found.contract.mlflow_run_id,
        "days": [day.isoformat() for day in found.days],
        "metrics": asdict(found.metrics),
        "passed": found.gates.passed,
        "failures": [str(one) for one in found.gates.failures],
    }
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(document, indent=2) + "\n")
    except OSError as error:
        raise CannotValidateError(f"{path} cannot be written: {error}") from error


def _said(days: Days) -> str:
    return f"{days[0]} to {days[1]} (exclusive)"


if __name__ == "__main__":
    sys.exit(main())
