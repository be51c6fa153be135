"""Cut the sample windows of `data/sample` out of real weeks: `python -m orchestration.drift.sample`."""

import argparse
import sys
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

import polars as pl

from orchestration.drift.folder import write_whole
from orchestration.features.training import FEATURES, read_training
from orchestration.ingestion.partitions import MissingPartitionError
from orchestration.settings import SAMPLES, Settings

ROWS = 1_500
SEED = 2013
COLUMNS = ("event_timestamp", "label", *FEATURES)


@dataclass(frozen=True)
class Week:
    """Seven days of flights by scheduled departure (UTC), and the file their sample is kept in."""

    name: str
    first: date

    @property
    def end(self) -> date:
        """The day after the last."""
        return self.first + timedelta(days=7)


# 15.7 % of the flights of the calm week left late or never; 45.3 % of the stormy one, the most of any week in 2013.
CALM = Week("drift_reference.csv", date(2013, 4, 29))
STORM = Week("drift_current.csv", date(2013, 6, 24))


def cut(training: Path, week: Week) -> pl.DataFrame:
    """`ROWS` training rows of the week, or all if it has fewer, in order of event time; the same rows every time.

    Raises MissingPartitionError naming the days that are not in `training`.
    """
    rows = read_training(training, week.first, week.end).sort("event_timestamp", "request_id")
    kept = rows.with_row_index("__row").sample(min(ROWS, rows.height), seed=SEED).sort("__row")
    # An instant to the second is enough, and short.
    return kept.select(COLUMNS).with_columns(pl.col("event_timestamp").dt.strftime("%Y-%m-%dT%H:%M:%SZ"))


def main() -> int:
    """Exit 0, or 2 where days are missing or a setting cannot be read."""
    parser = argparse.ArgumentParser(
        prog="python -m orchestration.drift.sample",
        description=f"Write {CALM.name} (the calm week of {CALM.first}) and {STORM.name} (the storms of {STORM.first}).",
    )
    parser.add_argument("--lake", type=Path, help="folder with training/ in it (default: PLATFORM_HOME/lake)")
    parser.add_argument("--output", type=Path, default=SAMPLES, help="folder to write to (default: data/sample)")
    options = parser.parse_args()
    try:
        lake = options.lake or Settings.load().lake
        frames = {week.name: cut(lake / "training", week) for week in (CALM, STORM)}
    except (MissingPartitionError, ValueError) as error:
        sys.stderr.write(f"cannot cut the samples: {error}\n")
        return 2
    options.output.mkdir(parents=True, exist_ok=True)
    for name, frame in frames.items():
        write_whole(options.output / name, frame.write_csv)
        print(f"{options.output / name}: {frame.height} rows")
    return 0


if __name__ == "__main__":
    sys.exit(main())
