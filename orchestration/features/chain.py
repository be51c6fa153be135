"""The walk from the source tables to training rows over a range of days, in which a bad day stops only what needs it."""

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

from orchestration.features.compute import write_features
from orchestration.features.held import withdraw
from orchestration.features.training import write_training
from orchestration.features.views import VIEWS
from orchestration.ingestion.ingest import Examined, examine_flights, examine_weather
from orchestration.ingestion.outcome import Outcome
from orchestration.ingestion.partitions import stored_days, stretches

RAW = {"raw_flights": examine_flights, "raw_weather": examine_weather}
COMPUTED = {"feature_views": write_features, "training_rows": write_training}
FOLDERS = {
    "raw_flights": ["raw/flights"],
    "raw_weather": ["raw/weather"],
    "feature_views": [f"features/{view.name}" for view in VIEWS],
    "training_rows": ["training"],
}


@dataclass(frozen=True)
class Step:
    """What became of one asset. `outcome` is None where it was only examined, `examined` where it has no source."""

    asset: str
    outcome: Outcome | None
    examined: Examined | None = None


def walk(
    lake: Path, start: date, end: date, *, write: Collection[str], examine: Collection[str], source: Path | None
) -> Iterator[Step]:
    """Take the days [start, end) through the assets, in order.

    What was computed from a day that is refused now is removed before anything else is computed, after the range and
    where the computed assets are not written too: nobody reads what followed from data that are no longer believed.

    Args:
        lake: the lake's folder.
        start: first day.
        end: day after the last.
        write: names of the assets to write (keys of RAW and COMPUTED); the others are taken as they lie in the lake.
        examine: names of raw assets to check, written or not.
        source: folder of the source tables; None for the installed distribution.

    Raises:
        SourceError: when a source table is not usable at all.
    """
    for asset, look in RAW.items():
        if asset in write or asset in examine:
            examined = look(lake, start, end, source)
            yield Step(asset, examined.store(lake) if asset in write else None, examined)
    for asset, held in withdraw(lake, start, end).items() if {*RAW} & {*write} else ():
        # Those of the range follow below, where they are computed.
        beyond = {day: reason for day, reason in held.items() if asset not in write or day >= end}
        if beyond:
            yield Step(asset, Outcome({}, beyond))
    for asset, compute in COMPUTED.items():
        if asset in write:
            yield Step(asset, compute(lake, start, end))


def days_of(lake: Path, asset: str) -> set[date]:
    """The days that the lake has of a daily asset, in every folder of it."""
    return set.intersection(*(stored_days(lake / folder) for folder in FOLDERS[asset]))


def refusals(steps: Iterable[Step]) -> list[str]:
    """A line for each stretch of days that was refused or held back, with the asset and the reason."""
    lines = []
    for step in steps:
        by_reason: dict[str, list[date]] = {}
        for day, reason in (step.outcome.held if step.outcome else {}).items():
            by_reason.setdefault(reason, []).append(day)
        for reason, held in by_reason.items():
            spans = (_span(first, end - timedelta(days=1)) for first, end in stretches(held))
            verb = "refused" if step.examined else "held back"
            lines.append(f"{step.asset} {', '.join(spans)} {verb}: {reason}")
    return lines


def _span(first: date, last: date) -> str:
    return str(first) if first == last else f"{first} to {last}"
