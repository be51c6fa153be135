"""The supervised updater: from event to readable, killed at any moment, and through losses of Redis."""

import random
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import redis
from prometheus_client.parser import text_string_to_metric_families

from orchestration.features.live.events import Event
from orchestration.features.live.stream import send
from orchestration.features.store import online_client
from orchestration.notices.journal import read as read_notices
from tests.orchestration.features.live.feeds import batch_rows, last_moment, synthetic
from tests.orchestration.features.live.updaters import (
    Stand,
    expected,
    process,
    start,
    wait_for,
)
from tests.servers import redis_cluster, redis_server, until

pytestmark = pytest.mark.integration

FLIGHTS, WEATHER, EVERYTHING = synthetic(11, n=60, days=2)
BATCH_ROWS = batch_rows(FLIGHTS, WEATHER, last_moment(EVERYTHING))


@pytest.fixture
def stand(tmp_path: Path, redis_url: str) -> Iterator[Stand]:
    with redis.Redis.from_url(redis_url) as client:
        yield Stand(tmp_path, client, client)


def all_is_there(stand: Stand) -> bool:
    return stand.content(BATCH_ROWS) == expected(BATCH_ROWS)


def samples(address: str) -> dict[tuple[str, str], float]:
    """(metric, its `le` or `reason`) to value."""
    text = httpx.get(f"{address}/metrics", trust_env=False).text
    return {
        (sample.name, sample.labels.get("le") or sample.labels.get("reason") or ""): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_95_of_100_events_are_readable_within_two_seconds(stand: Stand, redis_url: str) -> None:
    stand.base()
    with process(stand.home, redis_url) as (updater, address):
        for i, event in enumerate(EVERYTHING):
            last = send(stand.stream, [event])
            if i % 20 == 0:
                wait_for(stand.online, last)
        wait_for(stand.online, last)
        found = samples(address)
        total = found["features_event_to_readable_seconds_count", ""]
        assert total == len(EVERYTHING) > 250
        assert found["features_event_to_readable_seconds_bucket", "2.0"] >= 0.95 * total
        assert found["features_store_up", ""] == 1
        assert found["features_refills_total", "new base"] == 1
        assert httpx.get(f"{address}/health", trust_env=False).json() == {"status": "ok", "problem": ""}
        assert httpx.get(f"{address}/elsewhere", trust_env=False).status_code == 404
        refused = subprocess.run(updater.args, capture_output=True, text=True, check=False, timeout=60)  # type: ignore[arg-type]
        assert (refused.returncode, "another updater runs on" in refused.stderr) == (1, True)
        updater.send_signal(signal.SIGTERM)
        assert updater.wait(15) == 0
    assert all_is_there(stand)


@pytest.mark.parametrize("kills", [3, pytest.param(25, marks=pytest.mark.full)])
def test_killed_at_any_moment_it_ends_as_if_nothing_had_been(stand: Stand, redis_url: str, kills: int) -> None:
    rng = random.Random(kills)
    stand.base()
    parts = chunks(EVERYTHING, kills + 1)
    for part in parts[:-1]:
        updater = start(stand.home, redis_url)
        try:
            for some in chunks(part, 4):
                send(stand.stream, some)
            before = stand.online.get("features:{drift}:watermark")
            until(lambda b=before: stand.online.get("features:{drift}:watermark") != b, "it works", timeout_s=60)  # type: ignore[misc]
            with pytest.raises(subprocess.TimeoutExpired):
                updater.wait(rng.random() * 0.05)
        finally:
            updater.kill()
            updater.wait()
    last = send(stand.stream, parts[-1])
    with process(stand.home, redis_url):
        document = wait_for(stand.online, last)
    assert all_is_there(stand)
    assert document.events == len(EVERYTHING)
    assert document.late == 0


def test_a_store_restored_from_an_old_file_is_written_anew(tmp_path: Path) -> None:
    (tmp_path / "redis").mkdir()
    durable = ("--appendonly", "yes", "--appendfsync", "always")
    old = tmp_path / "old.aof"
    with redis_server(tmp_path / "redis", *durable) as server, redis.Redis.from_url(server.url) as client:
        stand = Stand(tmp_path, client, client)
        stand.base()
        with process(tmp_path, server.url) as (_, address):
            wait_for(client, send(client, EVERYTHING[:150]))
            shutil.copy(tmp_path / "redis" / "appendonly.aof", old)
            wait_for(client, send(client, EVERYTHING[150:]))
            server.process.terminate()
            server.process.wait()
            until(lambda: samples(address)["features_store_up", ""] == 0, "the loss is seen")
            assert "a Redis is away" in httpx.get(f"{address}/health", trust_env=False).json()["problem"]
            shutil.copy(old, tmp_path / "redis" / "appendonly.aof")
            with redis_server(tmp_path / "redis", *durable, port=server.port):
                until(lambda: ("features_refills_total", "the store went back in time") in samples(address), "refilled")
                assert all_is_there(stand)
                refill = stand.watermark().last_refill
                assert refill is not None
                assert 0 < refill.seconds < 60
    notices = read_notices(tmp_path / "notices.jsonl").notices
    assert [(n.severity, n.title) for n in notices] == [("SEV3", "The online store was written anew")]


def test_the_store_may_be_a_cluster_and_the_stream_elsewhere(tmp_path: Path, redis_url: str) -> None:
    with redis_cluster(tmp_path) as nodes, redis.Redis.from_url(redis_url) as stream:
        url = f"redis+cluster://127.0.0.1:{nodes[0].port}"
        home = tmp_path / "home"
        home.mkdir()
        stand = Stand(home, stream, online_client(url))
        stand.base()
        with process(home, redis_url, features_redis_url=url):
            wait_for(stand.online, send(stream, EVERYTHING))
            assert all_is_there(stand)
            stand.online.flushall()
            until(lambda: all_is_there(stand), "the cluster is filled again")
        assert len(list(stream.scan_iter())) == 1, "the stream, and nothing of the features"


def chunks(events: list[Event], n: int) -> list[list[Event]]:
    size = -(-len(events) // n)
    return [events[i : i + size] for i in range(0, len(events), size)]
