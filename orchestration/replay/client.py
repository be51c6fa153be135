"""Drive the platform through past minutes: send what happened in a minute, set the clock, ask the gateway."""

import statistics
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx

from orchestration.features.training import ENTITIES, REQUEST_FIELDS
from orchestration.replay.feed import Feed
from orchestration.replay.timeline import Minute
from serving_gateway.control.store import RolloutStore


@dataclass
class Tally:
    """What the client saw. `latencies_us` are measured at the client; `errors` maps what went wrong to how often."""

    requests: int = 0
    by_arm: Counter[str] = field(default_factory=Counter)
    errors: Counter[str] = field(default_factory=Counter)
    latencies_us: list[float] = field(default_factory=list)
    scores: dict[str, tuple[str, float]] = field(default_factory=dict)

    @property
    def p50_us(self) -> float:
        """Median latency in microseconds; 0 before the first answer."""
        return statistics.median(self.latencies_us) if self.latencies_us else 0.0


class Replay:
    """One client in event time. `tally` grows as it goes and may be read from another thread; `feed` sends its events."""

    def __init__(self, gateway_url: str, store: RolloutStore, feed: Feed) -> None:
        self._url = f"{gateway_url}/predict"
        self._store = store
        self.feed = feed
        self.tally = Tally()

    def run(
        self,
        minutes: Iterable[Minute],
        *,
        after_minute: Callable[[Minute], None] = lambda _: None,
        minutes_per_second: float | None = None,
    ) -> Tally:
        """Replay `minutes`, as fast as answers come or at a pace; the same minutes give the same predictions.

        Every event of a minute can be read in the online store before its first request is sent. Raises NotAppliedError
        where the updater does not see to that.
        """
        with httpx.Client(timeout=10, trust_env=False) as http:
            for minute in minutes:
                began = time.monotonic()
                self.feed.send(minute.events, minute.at)
                self._store.advance_clock(minute.at)
                if minute.requests:
                    self.feed.wait()
                for row in minute.requests:
                    self._ask(http, row)
                after_minute(minute)
                if minutes_per_second:
                    time.sleep(max(0.0, began + 1 / minutes_per_second - time.monotonic()))
        return self.tally

    def _ask(self, http: httpx.Client, row: Mapping[str, Any]) -> None:
        instance = {name: row[name] for name in (*ENTITIES, *REQUEST_FIELDS)}
        body = {
            "request_id": row["request_id"],
            "event_time": row["event_timestamp"].isoformat(),
            "instances": [instance],
        }
        began = time.perf_counter()
        self.tally.requests += 1
        try:
            answer = http.post(self._url, json=body)
        except httpx.HTTPError as error:
            self.tally.errors[type(error).__name__] += 1
            return
        self.tally.latencies_us.append((time.perf_counter() - began) * 1e6)
        if answer.status_code != httpx.codes.OK:
            self.tally.errors[f"{answer.status_code}: {answer.text[:200]}"] += 1
            return
        prediction = answer.json()["predictions"][0]
        self.tally.by_arm[prediction["arm"]] += 1
        self.tally.scores[row["request_id"]] = (prediction["arm"], prediction["score"])
