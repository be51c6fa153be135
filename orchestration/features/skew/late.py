"""Events that reached the online store late: which rows they explain."""

from datetime import date, timedelta
from pathlib import Path
from typing import Any

import polars as pl

from orchestration.features.computations import COMPUTATIONS
from orchestration.features.live.events import instant, kind_of
from orchestration.features.live.late import LateEvent, read_late
from orchestration.features.skew.policy import LATE_REACH
from orchestration.features.views import BY_NAME
from orchestration.ingestion.partitions import days

# The kinds of events that a view of each source is computed from.
_FED_BY = {
    "weather": ("weather",),
    "departures": ("departure",),
    "arrivals": ("arrival",),
    "flights": ("scheduled", "departure"),
}
ENTITIES = ("origin", "carrier", "dest", "tailnum")
_UTC = pl.Datetime("us", "UTC")
SCHEMA = pl.Schema({"kind": pl.String(), **dict.fromkeys(ENTITIES, pl.String()), "event_time": _UTC, "until": _UTC})


def late_rows(folder: Path, day: date) -> pl.DataFrame:
    """Late events that requests of `day` may have missed, as the updater keeps them in `folder`.

    Returns:
        SCHEMA: the event's kind, entities and event time; `until` is when the online store had it, on the event clock.
        An event that was never applied is missed for LATE_REACH.
    """
    reach = days(day - LATE_REACH - timedelta(days=1), day + timedelta(days=1))
    rows = [_row(one) for of in reach for one in read_late(folder, of)]
    return pl.DataFrame(rows, schema=SCHEMA, orient="row")


def missed(rows: pl.DataFrame, late: pl.DataFrame, view: str) -> pl.Series:
    """Whether an event that feeds the row's entity of `view` had happened at `event_timestamp` and was not applied yet.

    `rows` have event_timestamp and the view's entities, in event order.
    """
    keys = list(BY_NAME[view].join_keys)
    events = late.filter(pl.col("kind").is_in(_FED_BY[COMPUTATIONS[view].source])).select(*keys, "event_time", "until")
    if events.is_empty():
        return pl.Series("late", [False], dtype=pl.Boolean).new_from_index(0, rows.height)
    happened, applied = (_counted(rows, events, at, keys) for at in ("event_time", "until"))
    return (happened > applied).alias("late")


def _counted(rows: pl.DataFrame, events: pl.DataFrame, at: str, keys: list[str]) -> pl.Series:
    """Number of the entity's events with `at` <= event_timestamp."""
    count = pl.int_range(1, pl.len() + 1)
    numbered = events.sort(at).select(*keys, pl.col(at).alias("event_timestamp"), n=count.over(keys) if keys else count)
    found = rows.select("event_timestamp", *keys).join_asof(
        numbered, on="event_timestamp", by=keys or None, strategy="backward", check_sortedness=False
    )
    return found["n"].fill_null(0)


def _row(late: LateEvent) -> tuple[Any, ...]:
    at = late.event.event_time
    until = min(instant(late.watermark_us), at + LATE_REACH) if late.applied else at + LATE_REACH
    return (kind_of(late.event), *(getattr(late.event, name, None) for name in ENTITIES), at, until)
