"""Which days cannot be computed, and which raw day holds each of them back. A refused day is never computed around."""

from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from datetime import date, timedelta
from pathlib import Path

from orchestration.features.views import LOOK_BACK_DAYS, VIEWS, WARM_UP
from orchestration.ingestion.partitions import days, partition_path
from orchestration.ingestion.quarantine import refused_days

_DAY = timedelta(days=1)


def held_features(
    of: Iterable[date], refused: Mapping[str, AbstractSet[date]], missing: Mapping[str, AbstractSet[date]]
) -> dict[date, str]:
    """The ones of these days whose features cannot be computed, with the reason.

    A day's features follow from its own raw partitions and from those of the warm-up before it. One that was refused
    holds it back; one of the day itself that is missing, too. Earlier ones may be missing, where the data begin.

    Args:
        of: the days.
        refused: refused days by source.
        missing: days without raw partition by source.
    """
    held: dict[date, str] = {}
    for day in of:
        reasons = [
            *(f"{source} of {day} are not materialized" for source in WARM_UP if day in missing[source]),
            *(
                f"{source} of {earlier} were refused"
                for source, warm_up in WARM_UP.items()
                for earlier in days(day - warm_up, day + _DAY)
                if earlier in refused[source]
            ),
        ]
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
    missing = {source: _without(lake / "raw" / source, start, end) for source in WARM_UP}
    return held_features(days(start, end), refused, missing)


def held_training_of(lake: Path, start: date, end: date) -> dict[date, str]:
    """`held_training` of the days [start, end) as the lake stands."""
    since = start - LOOK_BACK_DAYS * _DAY
    refused = {source: refused_days(lake, source, since - warm_up, end) for source, warm_up in WARM_UP.items()}
    nothing_missing: dict[str, AbstractSet[date]] = dict.fromkeys(WARM_UP, frozenset())
    features = held_features(days(since, end), refused, nothing_missing)
    missing = _without(lake / "raw" / "flights", start, end).union(
        *(_without(lake / "features" / view.name, start, end) for view in VIEWS)
    )
    return held_training(days(start, end), features, missing)


def _without(folder: Path, start: date, end: date) -> set[date]:
    return {day for day in days(start, end) if not partition_path(folder, day).exists()}
