"""Which days cannot be computed, and which raw day holds each of them back. A refused or missing day is never computed around."""

from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from datetime import date, timedelta
from pathlib import Path

from orchestration.features.views import LOOK_BACK_DAYS, VIEWS, WARM_UP
from orchestration.ingestion.partitions import days, partition_path, remove_partitions, stored_days
from orchestration.ingestion.quarantine import refused_days

_DAY = timedelta(days=1)
BEGIN_DAYS = max(WARM_UP.values())


def held_features(
    of: Iterable[date], refused: Mapping[str, AbstractSet[date]], stored: Mapping[str, AbstractSet[date]]
) -> dict[date, str]:
    """The ones of these days whose features cannot be computed, with the reason.

    A day's features follow from its own raw partitions and from those of the warm-up before it. One that was refused or
    is a hole holds it back. A missing day is a hole if one of the BEGIN_DAYS before it is stored; else the data begin
    after it, for the first time or, in a range that somebody backfills far from the others, anew.

    Args:
        of: the days.
        refused: refused days by source.
        stored: all days with raw partition by source.
    """
    held: dict[date, str] = {}
    for day in of:
        reasons = [f"{source} of {day} are not materialized" for source in WARM_UP if day not in stored[source]]
        for source, warm_up in WARM_UP.items():
            for earlier in days(day - warm_up, day + _DAY):
                if earlier in refused[source]:
                    reasons.append(f"{source} of {earlier} were refused")
                elif earlier < day and _is_hole(earlier, stored[source]):
                    reasons.append(f"{source} of {earlier} are missing")
        if reasons:
            held[day] = reasons[-1]
    return held


def held_training(of: Iterable[date], features: Mapping[date, str], missing: AbstractSet[date]) -> dict[date, str]:
    """The ones of these days whose training rows cannot be joined, with the reason.

    A join reads the day's own features and those of LOOK_BACK_DAYS before it.

    Args:
        of: the days.
        features: days whose features are held back, with the reason.
        missing: days without feature partition.
    """
    held: dict[date, str] = {}
    for day in of:
        reads = days(day - LOOK_BACK_DAYS * _DAY, day + _DAY)
        reasons = [features[earlier] for earlier in reads if earlier in features]
        if day in missing:
            reasons.insert(0, f"features of {day} are not materialized")
        if reasons:
            held[day] = reasons[-1]
    return held


def held_features_of(lake: Path, start: date, end: date) -> dict[date, str]:
    """`held_features` of the days [start, end) as the lake stands."""
    refused = {source: refused_days(lake, source, start - warm_up, end) for source, warm_up in WARM_UP.items()}
    return held_features(days(start, end), refused, _raw_days(lake))


def held_training_of(lake: Path, start: date, end: date) -> dict[date, str]:
    """`held_training` of the days [start, end) as the lake stands."""
    since = start - LOOK_BACK_DAYS * _DAY
    raw = _raw_days(lake)
    held = held_features_of(lake, since, end)
    # A day before the data begin has no features, and none are missed.
    refused = {day for source in WARM_UP for day in refused_days(lake, source, since, end)}
    expected = {day for there in raw.values() for day in held if day in there or _is_hole(day, there)}
    features = {day: reason for day, reason in held.items() if day in refused | expected}
    missing = _without(lake / "raw" / "flights", start, end).union(
        *(_without(lake / "features" / view.name, start, end) for view in VIEWS)
    )
    return held_training(days(start, end), features, missing)


def withdraw(lake: Path, start: date, end: date) -> dict[str, dict[date, str]]:
    """Remove what follows from the raw days [start, end) and can no longer be believed, after them too.

    Returns:
        By asset, the days whose partition was removed, with the reason.
    """
    followed = end + max(WARM_UP.values())
    removed: dict[str, dict[date, str]] = {}
    for asset, last, held_of, folders in (
        ("feature_views", followed, held_features_of, [lake / "features" / view.name for view in VIEWS]),
        ("training_rows", followed + LOOK_BACK_DAYS * _DAY, held_training_of, [lake / "training"]),
    ):
        there = set[date]().union(*map(stored_days, folders))
        removed[asset] = {day: reason for day, reason in held_of(lake, start, last).items() if day in there}
        for folder in folders:
            remove_partitions(folder, removed[asset])
    return removed


def _raw_days(lake: Path) -> dict[str, set[date]]:
    return {source: stored_days(lake / "raw" / source) for source in WARM_UP}


def _is_hole(day: date, stored: AbstractSet[date]) -> bool:
    return day not in stored and any(earlier in stored for earlier in days(day - BEGIN_DAYS, day))


def _without(folder: Path, start: date, end: date) -> set[date]:
    return {day for day in days(start, end) if not partition_path(folder, day).exists()}
