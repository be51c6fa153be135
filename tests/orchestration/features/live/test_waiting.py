"""What an updater waits for, and says so; and what it trims: after restarts, and of a stream that began anew."""

import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
import redis

from orchestration.features.layout import write_layouts
from orchestration.features.live import updater as updater_module
from orchestration.features.live.freshness import look
from orchestration.features.live.policy import COUNTED
from orchestration.features.live.stream import EVENTS, send
from orchestration.features.live.watermark import NO_BASE
from serving_gateway.contracts.online_layout import ViewLayout
from tests.orchestration.features.live.feeds import batch_rows, last_moment, layouts, synthetic
from tests.orchestration.features.live.updaters import Stand, expected

pytestmark = pytest.mark.integration

FLIGHTS, WEATHER, EVERYTHING = synthetic(7, n=60, days=2)
BATCH_ROWS = batch_rows(FLIGHTS, WEATHER, last_moment(EVERYTHING))


@pytest.fixture
def stand(tmp_path: Path, redis_url: str) -> Iterator[Stand]:
    with redis.Redis.from_url(redis_url) as client:
        yield Stand(tmp_path, client, client)


def lacking() -> tuple[ViewLayout, ...]:
    return tuple(view for view in layouts() if view.name != "dest_arrivals")


def outdated() -> tuple[ViewLayout, ...]:
    first, *others = layouts()
    renamed = msgspec.structs.replace(first.features[0], name="gone")
    return (msgspec.structs.replace(first, features=(renamed, *first.features[1:])), *others)


@pytest.mark.parametrize(
    ("exported", "says"),
    [(lacking(), "no view dest_arrivals"), (outdated(), f"{layouts()[0].name}:gone, which is computed no more")],
)
def test_a_layout_of_other_definitions_is_waited_for_by_name(
    stand: Stand, exported: tuple[ViewLayout, ...], says: str
) -> None:
    write_layouts(stand.settings.feature_layout, exported)
    send(stand.stream, EVERYTHING)
    with stand.updater() as updater:
        updater.cycle(block_ms=1)
        assert stand.watermark().problem == NO_BASE
        stand.base(rewind=False)
        updater.cycle(block_ms=1)
        assert says in stand.watermark().problem
        assert "materialize feature_registry" in stand.watermark().problem
        write_layouts(stand.settings.feature_layout, layouts())
        updater.cycle(block_ms=1)
    assert stand.watermark().problem == ""
    assert stand.content(BATCH_ROWS) == expected(BATCH_ROWS)


def test_nothing_unread_is_trimmed_of_a_stream_that_began_anew_under_an_older_clock(
    stand: Stand, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(updater_module, "KEEP", 100)
    monkeypatch.setattr(updater_module, "BATCH", 99)
    stand.base(rewind=False)
    with stand.updater() as updater:
        stand.stream.xadd(EVENTS, {"event": b"{}"}, id="9000000000000-0")
        updater.cycle(block_ms=1)
        stand.stream.delete(EVENTS)
        updater.cycle(block_ms=1)
        send(stand.stream, EVERYTHING)
        while updater.cycle(block_ms=1):
            pass
    assert stand.content(BATCH_ROWS) == expected(BATCH_ROWS)


def test_updaters_that_live_shortly_trim_too(stand: Stand, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(updater_module, "KEEP", 100)
    stand.base()
    for at in range(0, len(EVERYTHING), 60):
        send(stand.stream, EVERYTHING[at : at + 60])
        with stand.updater() as updater:
            updater.cycle(block_ms=1)
    assert 100 <= stand.stream.xlen(EVENTS) <= 200 < len(EVERYTHING)
    assert stand.content(BATCH_ROWS) == expected(BATCH_ROWS)


def test_of_many_that_wait_a_bounded_number_is_fetched_to_count_them(stand: Stand) -> None:
    with stand.stream.pipeline(transaction=False) as pipeline:
        for n in range(1, 2 * COUNTED):
            pipeline.xadd(EVENTS, {"event": b"{}"}, id=f"1000-{n}")
        pipeline.execute()
    with stand.updater() as updater:
        updater.cycle(block_ms=1)
    assert stand.metrics.registry.get_sample_value("features_stream_lag_entries") == COUNTED
    found = look(stand.online, stand.stream, None)
    assert (found.verdict, found.lag_entries) == ("stale", COUNTED)
    assert found.lag_s == pytest.approx(time.time() - 1, abs=60), "the oldest one's"
