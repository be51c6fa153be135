"""`python -m orchestration.rollout.replay`: what would a registered version have answered, and was it better?"""

import argparse
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import numpy as np
import polars as pl
import redis
from numpy.typing import NDArray

from orchestration.drift.folder import write_whole
from orchestration.event_clock import event_now
from orchestration.rollout.policy import PolicyError, read_policy
from orchestration.rollout.replay_report import replay_report
from orchestration.rollout.replay_table import show
from orchestration.rollout.replayed import NothingToReplayError, ReplayedLog, Scored, replayed
from orchestration.rollout.rescore import RescoreError, registered_contract, registered_scores
from orchestration.settings import Settings
from orchestration.training.contract import MODEL, triton_name
from serving_gateway.contracts import ModelContract
from serving_gateway.control.store import RolloutStore

COMPARED, SKEWED, CANNOT = 0, 1, 2
_BLOCK = 65_536


def main(arguments: list[str] | None = None) -> int:
    """Exit 0 compared; 1 compared, but the version was logged to have said something else; 2 nothing to compare."""
    wanted = _parser().parse_args(arguments)
    try:
        _check(wanted)
        settings = Settings.load()
        rates = read_policy(settings.rollout_policy).evidence
        log = _replayed(settings, wanted)
        report = replay_report(log, rates, start=wanted.start.isoformat(), end=wanted.end.isoformat())
        if wanted.output:
            _write(log.rows, wanted.output)
    except redis.RedisError as error:
        return _cannot(f"Redis, which has the contracts, cannot be read (REDIS_URL, REDIS_PORT): {error}")
    except (
        NothingToReplayError,
        PolicyError,
        RescoreError,
        ValueError,
        OSError,
    ) as error:  # the message says what to mend
        return _cannot(str(error))
    if wanted.json:
        print(msgspec.json.format(msgspec.json.encode(report), indent=2).decode())
    else:
        show(report)
    return SKEWED if report.skew.differing else COMPARED


def _replayed(settings: Settings, wanted: argparse.Namespace) -> ReplayedLog:
    store = RolloutStore.connect(settings.redis_url)
    now = event_now(settings, store)
    version = registered_contract(settings, wanted.model, wanted.version)
    against = registered_contract(settings, wanted.model, wanted.against) if wanted.against else None
    if against is not None and against.signature != version.signature:
        raise NothingToReplayError(f"{triton_name(against)} reads other inputs than {triton_name(version)}")
    with _shown(settings) as scored:
        return replayed(
            settings, version, start=wanted.start, end=wanted.end, now=now, contract_of=store.contract, against=against,
            scored=scored,
        )  # fmt: skip


@contextmanager
def _shown(settings: Settings) -> Iterator[Scored]:
    """`registered_scores` in blocks, with a bar on stderr where that is a terminal."""
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), disable=not sys.stderr.isatty(), transient=True) as progress:

        def scored(contract: ModelContract, vectors: NDArray[np.float32]) -> NDArray[np.float64]:
            task = progress.add_task(f"rows by {triton_name(contract)}", total=len(vectors))
            blocks = []
            for first in range(0, len(vectors), _BLOCK):
                blocks.append(registered_scores(settings, contract, vectors[first : first + _BLOCK]))
                progress.advance(task, len(blocks[-1]))
            return np.concatenate(blocks)

        yield scored


def _write(rows: pl.DataFrame, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".csv":
        write_whole(path, rows.write_csv)
    else:
        write_whole(path, rows.write_parquet)


def _check(wanted: argparse.Namespace) -> None:
    if wanted.end <= wanted.start:
        raise ValueError(f"--end {wanted.end:%F %H:%M} must be after --start {wanted.start:%F %H:%M}")
    if wanted.output and wanted.output.suffix not in {".csv", ".parquet"}:
        raise ValueError(f"--output {wanted.output} must end in .csv or .parquet")


def _cannot(reason: str) -> int:
    print(f"replay: {reason}", file=sys.stderr)
    return CANNOT


def _instant(text: str) -> datetime:
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is neither a day nor an ISO 8601 instant") from None
    return found.astimezone(UTC) if found.tzinfo else found.replace(tzinfo=UTC)


def _version(text: str) -> str:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is no version's number")
    return text


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m orchestration.rollout.replay",
        description="Score a window of the prediction log with a registered version and compare it with what was served, "
        "or with another version.",
        epilog="Exit 0: compared; 1: compared, but scores that were logged as the version's own differ from its artifact's "
        "(serving skew); 2: nothing could be compared, with the reason. Land the log first (job land_predictions).",
    )
    parser.add_argument("--start", type=_instant, required=True, help="event time, a day or an ISO 8601 instant (UTC)")
    parser.add_argument("--end", type=_instant, required=True, help="the same, exclusive")
    parser.add_argument("--model", default=MODEL, help=f"registered model (default {MODEL})")
    parser.add_argument("--version", type=_version, required=True, help="its version, a number")
    parser.add_argument(
        "--against", type=_version, metavar="VERSION", help="compare with this version's scores instead"
    )
    parser.add_argument("--json", action="store_true", help="the figures as one JSON document")
    parser.add_argument("--output", type=Path, metavar="FILE", help="every row, as FILE.csv or FILE.parquet")
    return parser


if __name__ == "__main__":
    sys.exit(main())
