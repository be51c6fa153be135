"""The asset that sets a base, over a real Redis: what it refuses before it changes anything, and what it leaves where it fails."""

from datetime import date
from pathlib import Path

import dagster as dg
import pytest
import redis

from orchestration.defs.features import OnlineConfig, online_store
from orchestration.features.live.base import read_base
from orchestration.features.live.watermark import Watermark, read_watermark, write_watermark
from orchestration.features.views import PROJECT, VIEWS
from orchestration.ingestion.partitions import partition_path
from serving_gateway.contracts.online_layout import entity_key

pytestmark = pytest.mark.integration
KEY = entity_key(PROJECT, ("origin",), ("JFK",))


@pytest.fixture
def client(redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> "redis.Redis":
    """An online store with an entity, as an updater left it, and a lake with the features of two days."""
    for variable in ("FEAST_REGISTRY", "FEATURES_REDIS_URL"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("REDIS_URL", redis_url)
    monkeypatch.setenv("PLATFORM_HOME", str(tmp_path))
    for view in VIEWS:
        for day in (date(2013, 4, 28), date(2013, 4, 29)):
            path = partition_path(tmp_path / "lake" / "features" / view.name, day)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
    client = redis.Redis.from_url(redis_url)
    client.hset(KEY, b"_ts:origin_weather", b"")
    write_watermark(client, Watermark(base="b"))
    return client


@pytest.mark.parametrize("as_of", ["2013-05-01", "2031-05-01"])
def test_a_day_that_the_lake_does_not_reach_is_refused_and_nothing_is_changed(
    client: "redis.Redis", as_of: str
) -> None:
    with pytest.raises(dg.Failure, match=r"its last before that is 2013-04-29\. .*take as_of 2013-04-30"):
        online_store(OnlineConfig(as_of=as_of, rewind=True))
    assert (client.exists(KEY), read_base(client)) == (1, None)


def test_data_may_begin_anew_after_a_gap(client: "redis.Redis", tmp_path: Path) -> None:
    for view in VIEWS:
        partition_path(tmp_path / "lake" / "features" / view.name, date(2013, 6, 1)).touch()
    with pytest.raises(LookupError, match="materialize feature_registry first"):  # it got beyond the lake
        online_store(OnlineConfig(as_of="2013-06-01"))


def test_a_store_that_was_emptied_and_could_not_be_filled_is_left_to_the_updater(client: "redis.Redis") -> None:
    with pytest.raises(LookupError, match="materialize feature_registry first"):
        online_store(OnlineConfig(as_of="2013-04-30", empty_first=True))
    assert (client.exists(KEY), read_watermark(client), read_base(client)) == (0, None, None)
