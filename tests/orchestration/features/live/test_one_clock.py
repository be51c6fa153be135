"""One clock rules TTLs, ages and watermarks: a replay of a past day and production on the wall answer alike."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import redis

from orchestration.features.inputs import model_inputs
from orchestration.features.layout import write_layouts
from orchestration.features.live.base import set_base
from orchestration.features.live.events import Arrival, Departure, Event, Scheduled, Weather
from orchestration.features.live.freshness import look
from orchestration.features.live.watermark import read_watermark
from orchestration.replay.feed import Feed
from serving_gateway.contracts.prediction import PredictionRecord
from serving_gateway.control.store import RolloutStore
from tests.feature_contracts import contract_over
from tests.orchestration.features.live.feeds import layouts
from tests.serving_gateway.faulty_triton import faulty_triton
from tests.serving_gateway.support import gateway_process, predictions, publish_state, state_of, wait_for
from tests.updaters import updater

pytestmark = pytest.mark.integration
PAST = datetime(2013, 6, 1, 12, tzinfo=UTC)
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
CONTRACT = contract_over(layouts(), model_inputs({"carrier": ("AA",), "origin": ("JFK", "LGA")}))
FIELDS = {"dow": 6, "dep_min": 780, "distance": 1000, "block": 180, "sched_load": 12}
ASKED = [
    {"origin": "JFK", "carrier": "AA", "dest": "MIA", "tailnum": "N1"},
    {"origin": "LGA", "carrier": "B6", "dest": "BOS", "tailnum": "N2"},
]


def events(now: datetime) -> list[Event]:
    """N1 moved within the last hours, N2 more than a day ago; the weather of LGA is older than three hours."""

    def flight(number: str, origin: str, ago: timedelta, carrier: str, dest: str) -> list[Event]:
        told = {"request_id": f"{number} {ago}", "carrier": carrier, "origin": origin, "dest": dest, "tailnum": number}
        sched = now - ago
        return [
            Scheduled(**told, sched_dep=sched),
            Departure(**told, sched_dep=sched, at=sched + 20 * MINUTE, delay=20),
            Arrival(**told, sched_dep=sched, at=sched + 80 * MINUTE, delay=10),
        ]

    def report(origin: str, ago: timedelta) -> Weather:
        return Weather(origin=origin, time_hour=now - ago, precip=0.1, pressure=1010, visib=9, wind_speed=4)

    board = [
        Scheduled(
            request_id=f"S{n}", carrier="AA", origin="JFK", dest="MIA", tailnum="N9", sched_dep=now - n * 20 * MINUTE
        )
        for n in range(6)
    ]
    moves = flight("N1", "JFK", 2 * HOUR, "AA", "MIA") + flight("N2", "LGA", 27 * HOUR, "B6", "BOS")
    found = [*moves, *board, report("JFK", 2 * HOUR), report("LGA", 5 * HOUR)]
    return sorted(found, key=lambda event: event.event_time)


def served(clock: str, now: datetime, url: str, home: Path, triton: str) -> list[PredictionRecord]:
    """Two requests at `now` on this clock, over events that an updater applied before."""
    write_layouts(home / "feast" / "layout.json", layouts())
    with redis.Redis.from_url(url) as client:
        client.flushall()
        publish_state(url, state_of(CONTRACT), CONTRACT)
        set_base(client, client, now - 30 * HOUR, rewind=True)
        if clock == "replay":
            RolloutStore(client).advance_clock(now)
        with (
            updater(home, url, EVENT_CLOCK=clock),
            gateway_process(home, url, triton, EVENT_CLOCK=clock) as gateway,
        ):
            feed = Feed(client, client)
            feed.send(events(now), now - MINUTE)
            feed.wait()
            assert read_watermark(client).watermark_us == int((now - MINUTE).timestamp() * 1e6)  # type: ignore[union-attr]
            wait_for(lambda: gateway.client.get("/ready").status_code == 200)
            answer = gateway.predict({"instances": [FIELDS | entities for entities in ASKED]})
            assert answer.status_code == 200, answer.text
            wait_for(lambda: len(predictions(url)) == 2)
            found = look(client, client, now)
            assert (found.verdict, found.behind_s) == ("fresh", 60)
    return predictions(url)


def test_a_replay_and_the_wall_give_the_same_ages_expiries_and_features(redis_url: str, tmp_path: Path) -> None:
    today = datetime.now(UTC).replace(microsecond=0)
    with faulty_triton() as triton:
        triton.scores = {"delay_v1": 0.25}
        past = served("replay", PAST, redis_url, tmp_path / "past", triton.address)
        present = served("wall", today, redis_url, tmp_path / "present", triton.address)
    seconds = present[0].event_time_us / 1e6 - today.timestamp()  # the wall went on meanwhile
    assert past[0].event_time_us == int(PAST.timestamp() * 1e6)
    assert 0 <= seconds < 60
    statuses = dict.fromkeys(("present", "expired", "missing"), 0)
    for then, now in zip(past, present, strict=True):
        assert [(v.view, v.status) for v in then.views] == [(v.view, v.status) for v in now.views]
        for earlier, later in zip(then.views, now.views, strict=True):
            statuses[earlier.status] += 1
            if earlier.age_s is not None:
                assert later.age_s == pytest.approx(earlier.age_s + seconds, abs=1e-3)
        since = [i.name.startswith("r_tail_min_since") for i in CONTRACT.inputs]
        expected = [value + seconds / 60 if moves else value for value, moves in zip(then.vector, since, strict=True)]
        assert now.vector == pytest.approx(expected, abs=1e-4, nan_ok=True)
    assert statuses["present"] > 8
    assert statuses["expired"] >= 4
    assert past[0].vector[23] == 5  # r_org_overdue_n: scheduled 20, 40, 60, 80 and 100 minutes ago and not gone
