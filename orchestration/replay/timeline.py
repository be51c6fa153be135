"""Past days as a sequence of minutes, each with what happened and what was asked."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import groupby
from pathlib import Path
from typing import Any

from orchestration.features.live.events import Event
from orchestration.features.live.lake import events_between
from orchestration.features.views import view_window
from orchestration.ingestion.partitions import read_partitions

_MINUTE = timedelta(minutes=1)


@dataclass(frozen=True)
class Minute:
    """`events` have an event time in (at - 1 min, at]; `requests` are training rows asked at `at`."""

    at: datetime
    events: Sequence[Event]
    requests: Sequence[Mapping[str, Any]]


def timeline(lake: Path, start: date, end: date) -> Iterator[Minute]:
    """Minutes of the days [start, end), in order.

    Args:
        lake: the lake's folder: what happened is in raw/, and who asked, with which request fields and when, in training/.
        start: first day, of the flights' scheduled departure.
        end: day after the last.

    Raises:
        MissingPartitionError: naming the days to materialize first.
    """
    first, last = view_window(start, end)
    asked = read_partitions(lake / "training", start, end).sort("event_timestamp", "request_id").to_dicts()
    requests = _by_minute(asked, lambda row: row["event_timestamp"])
    happened = sorted(events_between(lake, start, end), key=lambda event: event.event_time)
    events = _by_minute(happened, lambda event: event.event_time)
    at = first
    while at < last:
        yield Minute(at, events.get(at, ()), requests.get(at, ()))
        at += _MINUTE


def _by_minute(ordered: Iterable[Any], instant: Any) -> dict[datetime, list[Any]]:
    # rounded up: what happened is sent when its minute has fully passed, never before it was known
    def minute(item: Any) -> datetime:
        at: datetime = instant(item)
        return at + (datetime.min.replace(tzinfo=at.tzinfo) - at) % _MINUTE

    return {at: list(items) for at, items in groupby(ordered, minute)}
