"""A wrong materialization undone to a partition, by the asset and a live updater: real Feast, Redis and Dagster."""

from collections.abc import Iterator
from datetime import date, datetime, timedelta
from pathlib import Path

import dagster as dg
import polars as pl
import pytest
import redis

from orchestration.defs.features import online_store
from orchestration.features.compute import write_features
from orchestration.features.layout import read_layouts, view_layouts, write_layouts
from orchestration.features.live.base import Base, read_base
from orchestration.features.live.lake import events_between
from orchestration.features.live.watermark import Watermark, read_watermark
from orchestration.features.online import OnlineWriter
from orchestration.features.store import apply
from orchestration.features.views import PROJECT, view_window
from orchestration.replay.feed import Feed
from orchestration.settings import ROOT, Settings
from tests.orchestration.features.lakes import raw_lake
from tests.servers import wait_until
from tests.updaters import updater

pytestmark = pytest.mark.integration
DAY = timedelta(days=1)
FIRST, TODAY = date(2013, 2, 4), date(2013, 2, 6)
MORNING = view_window(TODAY, TODAY + DAY)[0]
NOON = MORNING + timedelta(hours=18)
Content = dict[bytes, dict[bytes, bytes]]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three days of features, of which the last is today; the definitions are registered."""
    folder = tmp_path_factory.mktemp("home")
    raw_lake(folder / "lake", FIRST, TODAY + DAY)
    write_features(folder / "lake", FIRST, TODAY + DAY)
    settings = Settings(home=folder)
    store = apply(ROOT / "feature_repo", folder, "redis://127.0.0.1:1/0", settings.feast_registry)
    write_layouts(settings.feature_layout, view_layouts(store))
    return folder


@pytest.fixture
def client(home: Path, redis_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator["redis.Redis"]:
    for variable in ("FEAST_REGISTRY", "FEATURES_REDIS_URL"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("REDIS_URL", redis_url)
    monkeypatch.setenv("PLATFORM_HOME", str(home))
    with redis.Redis.from_url(redis_url) as connection:
        yield connection


def materialize(**config: object) -> dg.ExecuteInProcessResult:
    ops = {"ops": {"online_store": {"config": {"as_of": TODAY.isoformat(), **config}}}}
    done = dg.materialize([online_store, *stubs()], selection=[online_store], run_config=ops)
    assert done.success
    return done


def stubs() -> list[dg.AssetSpec]:
    """What it depends on is there already."""
    return [dg.AssetSpec("feature_views"), dg.AssetSpec("feature_registry")]


def taken_up(client: "redis.Redis") -> Watermark:
    """The updater's watermark, once it goes on from the base that stands."""
    base: Base | None = read_base(client)
    assert base is not None
    wait_until(lambda: (found := read_watermark(client)) is not None and found.base == base.id, timeout_s=30)
    found = read_watermark(client)
    assert found is not None
    return found


def content(client: "redis.Redis") -> Content:
    keys = client.scan_iter(match=b"?\x00\x00\x00*" + PROJECT.encode(), count=1000)
    return {key: client.hgetall(key) for key in keys}  # type: ignore[misc]


def spoil(client: "redis.Redis", home: Path) -> None:
    """What a run over wrong tables leaves: airlines that are an hour late, and one that does not exist, from tomorrow."""
    tomorrow = datetime.combine(TODAY + DAY, datetime.min.time(), MORNING.tzinfo)
    wrong = pl.DataFrame(
        {
            "event_timestamp": [tomorrow] * 3,
            "carrier": ["AA", "B6", "ZZ"],
            "e_car_arr_ewm2h_mean": [60.0] * 3,
            "e_car_arr_ewm2h_late": [1.0] * 3,
        }
    )
    OnlineWriter(client, PROJECT, read_layouts(Settings(home=home).feature_layout)).write({"carrier_arrivals": wrong})


def test_a_wrong_materialization_is_undone_and_the_events_since_stand(
    home: Path, client: "redis.Redis", redis_url: str
) -> None:
    materialize(rewind=True)
    with updater(home, redis_url):
        taken_up(client)
        at_dawn = content(client)
        events = [e for e in events_between(home / "lake", TODAY, TODAY + DAY) if MORNING <= e.event_time <= NOON]
        feed = Feed(client, client)
        feed.send(events, NOON)
        feed.wait()
        at_noon = content(client)
        assert at_noon != at_dawn

        spoil(client, home)
        assert content(client) != at_noon
        materialize()  # Feast keeps what is newer: to run it again mends nothing
        taken_up(client)
        assert len(content(client)) == len(at_noon) + 1

        done = materialize(empty_first=True)
        (event,) = done.get_asset_materialization_events()
        assert event.materialization.metadata["keys emptied"].value == len(at_noon) + 1
        found = taken_up(client)
        wait_until(lambda: content(client) == at_noon)
        assert found.watermark_us == int(NOON.timestamp() * 1e6)

        spoil(client, home)
        materialize(rewind=True)
        found = taken_up(client)
        wait_until(lambda: content(client) == at_dawn)
        assert found.watermark_us == int(MORNING.timestamp() * 1e6)
