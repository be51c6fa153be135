"""Reading views from a real Redis by the layout."""

import asyncio

import pytest
import redis

from serving_gateway import online_features
from serving_gateway.contracts.online_address import parse_address
from serving_gateway.contracts.online_layout import entity_key
from serving_gateway.online_connection import OnlineConnection
from serving_gateway.online_features import FeaturesUnavailableError, OnlineFeatures, ViewRow
from tests.servers import free_port
from tests.serving_gateway.support import CONTRACT, EVENT_TIME_US, TAIL, WEATHER, put_all_views, put_view

pytestmark = pytest.mark.integration
ENTITIES = {"origin": "JFK", "tailnum": "N1"}


def read(url: str, *rows: tuple[dict[str, str], int]) -> list[dict[str, ViewRow]]:
    async def main() -> list[dict[str, ViewRow]]:
        store = OnlineConnection(parse_address(url))
        try:
            deadline = asyncio.get_running_loop().time() + 2
            return await OnlineFeatures(CONTRACT, store).read(rows, deadline)
        finally:
            store.close()

    return asyncio.run(main())


@pytest.fixture
def client(redis_url: str) -> redis.Redis:
    found = redis.Redis.from_url(redis_url)
    put_all_views(found)
    return found


def test_present_views_with_their_ages(client: redis.Redis, redis_url: str) -> None:
    [views] = read(redis_url, (ENTITIES, EVENT_TIME_US))
    assert views["weather"].values == {"visib": 9.5}
    assert views["tail"].values == {"last_at": EVENT_TIME_US // 1_000_000 - 600, "kind": "prop"}
    assert views["board"].values == {"late_share": 0.25}
    assert [(v.age.status, v.age.age_s) for v in views.values()] == [
        ("present", 60.0),
        ("present", 60.0),
        ("present", 0.0),
    ]


def test_ttl_counts_from_the_views_timestamp_to_the_rows_event_time(client: redis.Redis, redis_url: str) -> None:
    for age_us, status in ((3600_000_000, "present"), (3600_000_001, "expired")):
        put_view(client, WEATHER, ("JFK",), EVENT_TIME_US - age_us, {"visib": 1.0})
        [views] = read(redis_url, (ENTITIES, EVENT_TIME_US))
        assert views["weather"].age.status == status
        assert views["weather"].age.age_s == pytest.approx(age_us / 1e6)
        assert bool(views["weather"].values) == (status == "present")


def test_a_ttl_of_zero_never_expires_and_each_row_has_its_own_event_time(client: redis.Redis, redis_url: str) -> None:
    now, later = read(redis_url, (ENTITIES, EVENT_TIME_US), (ENTITIES, EVENT_TIME_US + 10**12))
    assert later["board"].age.status == "present"
    assert (now["weather"].age.status, later["weather"].age.status) == ("present", "expired")


def test_missing_entities_and_null_values(client: redis.Redis, redis_url: str) -> None:
    put_view(client, WEATHER, ("LGA",), EVENT_TIME_US, {"visib": None})
    [views] = read(redis_url, ({"origin": "LGA", "tailnum": "none"}, EVENT_TIME_US))
    assert views["weather"].values == {"visib": None}
    assert (views["tail"].age.status, views["tail"].age.age_s, views["tail"].values) == ("missing", None, {})


def test_rows_that_share_entities_cost_one_read_each_key(client: redis.Redis, redis_url: str) -> None:
    before = client.info("commandstats").get("cmdstat_hmget", {"calls": 0})["calls"]
    rows = [({"origin": "JFK", "tailnum": f"N{n % 3}"}, EVENT_TIME_US) for n in range(30)]
    assert len(read(redis_url, *rows)) == 30
    assert client.info("commandstats")["cmdstat_hmget"]["calls"] - before == 5  # JFK, three tails, the global row


def test_a_reader_that_goes_on_sees_every_change_and_remembers_a_bounded_number_of_keys(
    client: redis.Redis, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(online_features, "REMEMBERED", 2)
    decoded: list[str] = []
    once = online_features._stored
    monkeypatch.setattr(online_features, "_stored", lambda view, reply: decoded.append(view.name) or once(view, reply))

    async def main() -> None:
        store = OnlineConnection(parse_address(redis_url))
        features = OnlineFeatures(CONTRACT, store)

        async def visible(tailnum: str = "N1") -> object:
            [views] = await features.read(
                [({"origin": "JFK", "tailnum": tailnum}, EVENT_TIME_US)], asyncio.get_running_loop().time() + 2
            )
            return views["weather"].values.get("visib")

        try:
            assert [await visible() for _ in range(3)] == [9.5] * 3
            assert sorted(decoded) == ["board", "tail", "weather"]  # once, for the bytes were the same
            put_view(client, WEATHER, ("JFK",), EVENT_TIME_US, {"visib": 1.0})
            assert await visible() == 1.0
            put_view(client, WEATHER, ("JFK",), EVENT_TIME_US, {"visib": None})
            assert await visible() is None
            client.delete(entity_key("drift", ("origin",), ("JFK",)))
            assert await visible() is None
            put_all_views(client)
            assert await visible() == 9.5
            for n in range(20):
                await visible(f"N{n}")
            assert {len(reads._known) for reads in features._reads} == {1, 2}
        finally:
            store.close()

    asyncio.run(main())


def test_foreign_bytes_are_an_error_that_names_the_view(client: redis.Redis, redis_url: str) -> None:
    key = entity_key("drift", ("tailnum",), ("N1",))
    kind = bytes.fromhex(TAIL.features[1].field)
    for value in (b"\x99\x01", b"\x12\xff", b"\x18\x05"):
        client.hset(key, kind, value)
        with pytest.raises(FeaturesUnavailableError, match="view tail"):
            read(redis_url, (ENTITIES, EVENT_TIME_US))


def test_redis_away_is_an_error_not_a_missing_value() -> None:
    with pytest.raises(FeaturesUnavailableError, match="does not answer"):
        read(f"redis://127.0.0.1:{free_port()}/0", (ENTITIES, EVENT_TIME_US))
