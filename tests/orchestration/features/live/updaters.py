"""Updaters for the tests: in this process, or as the supervised one."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

import redis

from orchestration.features.layout import write_layouts
from orchestration.features.live.base import Base, set_base
from orchestration.features.live.journal import Journal
from orchestration.features.live.metrics import Metrics
from orchestration.features.live.store import LiveStore
from orchestration.features.live.updater import Places, Updater
from orchestration.features.live.watermark import Refill, Watermark, read_watermark
from orchestration.features.online import read_online
from orchestration.features.views import BY_NAME, PROJECT
from orchestration.settings import Settings
from tests.orchestration.features.live.feeds import Rows, layouts
from tests.orchestration.features.reference import START
from tests.servers import ROOT, free_port, until
from tests.updaters import updater

Online = dict[tuple[str, tuple[str, ...]], tuple[object, ...]]


@dataclass
class Stand:
    """A PLATFORM_HOME with Redis, and an updater over it."""

    home: Path
    stream: "redis.Redis"
    online: "redis.Redis"
    refills: list[Refill] = field(default_factory=list)

    def __post_init__(self) -> None:
        write_layouts(self.home / "feast" / "layout.json", layouts())
        self.metrics = Metrics()

    @property
    def settings(self) -> Settings:
        return Settings(home=self.home)

    def base(self, as_of: datetime = START - timedelta(days=1), *, rewind: bool = True) -> Base:
        return set_base(self.online, self.stream, as_of, rewind=rewind)

    @contextmanager
    def updater(self) -> Iterator[Updater]:
        """One that is asked for its cycles."""
        places = Places(
            self.settings.lake, self.settings.feature_layout, self.settings.late_events, self.refills.append
        )
        with Journal(self.settings.event_journal) as journal:
            yield Updater(journal, self.stream, LiveStore(self.online), places, self.metrics)

    def watermark(self) -> Watermark:
        found = read_watermark(self.online)
        assert found is not None
        return found

    def content(self, of: Rows) -> Online:
        """What the store holds of these keys, in their form."""
        return stored(self.online, of)


def stored(online: "redis.Redis", of: Rows) -> Online:
    """(view, key) to the instant in UNIX seconds and the values, of the keys that have any."""
    found: Online = {}
    for layout in layouts():
        keys = [key for view, key in of if view == layout.name]
        order = [BY_NAME[layout.name].join_keys.index(name) for name in layout.join_keys]
        rows = read_online(online, PROJECT, layout, [tuple(key[i] for i in order) for key in keys])
        for key, row in zip(keys, rows, strict=True):
            if row is not None:
                found[layout.name, key] = (
                    row.event_time_s,
                    *(_plain(row.values[n]) for n in BY_NAME[layout.name].feature_names),
                )
    return found


def expected(of: Rows) -> Online:
    """`batch_rows` in the form of `stored`."""
    return {key: (at.timestamp(), *values) for key, (at, *values) in of.items()}


@contextmanager
def process(
    home: Path, redis_url: str, *, features_redis_url: str | None = None
) -> Iterator[tuple["subprocess.Popen[bytes]", str]]:
    """The supervised updater over `home`, and its address."""
    write_layouts(home / "feast" / "layout.json", layouts())
    with updater(home, redis_url, FEATURES_REDIS_URL=features_redis_url or redis_url) as started:
        yield started


def start(home: Path, redis_url: str) -> "subprocess.Popen[bytes]":
    """The supervised updater, not waited for: whoever starts it ends it."""
    environment = {"PLATFORM_HOME": str(home), "UPDATER_PORT": str(free_port()), "REDIS_URL": redis_url}
    with (home / "updater.log").open("ab") as log:
        command = [sys.executable, "-m", "orchestration.features.live"]
        return subprocess.Popen(command, stdout=log, stderr=log, cwd=ROOT, env=os.environ | environment)


def wait_for(online: "redis.Redis", position: str | None, *, timeout_s: float = 30) -> Watermark:
    """Until the store is as far as this entry."""

    def reached() -> bool:
        found = read_watermark(online)
        return (
            found is not None
            and position is not None
            and found.base is not None
            and _order(found.position) >= _order(position)
        )

    until(reached, f"the updater is at {position}", timeout_s=timeout_s)
    found = read_watermark(online)
    assert found is not None
    return found


def _order(entry_id: str) -> tuple[int, ...]:
    return tuple(map(int, entry_id.split("-")))


def _plain(value: object) -> object:
    return value if value is None or isinstance(value, int | float) else tuple(value)  # type: ignore[arg-type]
