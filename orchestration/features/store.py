"""Feast as the batch side uses it: open, apply, materialize, empty. The same as its command line, without its chatter."""

import os
import runpy
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from orchestration.features.views import PROJECT, VIEWS

if TYPE_CHECKING:
    import redis

DEFINITIONS = "flight_features.py"


def connection_string(redis_url: str) -> str:
    """Feast's form (host:port,db=N[,password=...]) of a redis:// address. Raises ValueError for another scheme."""
    url = urlsplit(redis_url)
    if url.scheme not in ("redis", "rediss") or not url.hostname:
        raise ValueError(f"expected an address like redis://127.0.0.1:6379/0, got {redis_url!r}")
    parts = [f"{url.hostname}:{url.port or 6379}", f"db={url.path.strip('/') or 0}"]
    parts += [f"username={unquote(url.username)}"] if url.username else []
    parts += [f"password={unquote(url.password)}"] if url.password else []
    return ",".join(parts + (["ssl=true"] if url.scheme == "rediss" else []))


def open_store(repo: Path, home: Path, redis_url: str) -> Any:
    """The `feast.FeatureStore` of `repo` (the folder of feature_store.yaml), with `home` as PLATFORM_HOME."""
    with _environment(home, redis_url):
        from feast import FeatureStore

        return FeatureStore(repo_path=str(repo))


def apply(repo: Path, home: Path, redis_url: str) -> Any:
    """Register the definitions of `repo`, as `feast apply` does; returns the `feast.FeatureStore`."""
    from feast import Entity, FeatureService, FeatureView, Project

    for view in VIEWS:  # Feast warns of folders that are not there yet
        (home / "lake" / "features" / view.name).mkdir(parents=True, exist_ok=True)
    store = open_store(repo, home, redis_url)
    with _environment(home, redis_url):
        defined = runpy.run_path(str(repo / DEFINITIONS)).values()
    with _quiet():
        store.apply([d for d in defined if isinstance(d, Project | Entity | FeatureView | FeatureService)])
    return store


def materialize(store: Any, until: datetime) -> None:
    """Bring the online store to the state of `until` (UTC, inclusive): the last row of each key that has not expired.

    Each view is read back by its ttl and no further: older rows would be found expired, and the views of a row a minute
    stay small. Feast ignores rows older than what is stored: to go back in time, `empty_online` first.
    """
    with _quiet():
        for view in store.list_feature_views():
            since = until - (view.ttl or timedelta(days=365))
            store.materialize(since, until, feature_views=[view.name])


def empty_online(client: "redis.Redis", project: str = PROJECT) -> int:
    """Delete every entity of the project from the online store; returns the number of keys.

    Feast's keys begin with the number of join keys (u32, little-endian) and end with the project's name.
    """
    keys = list(client.scan_iter(match=b"?\x00\x00\x00*" + project.encode(), count=1000))
    for at in range(0, len(keys), 1000):
        client.unlink(*keys[at : at + 1000])
    return len(keys)


@contextmanager
def _environment(home: Path, redis_url: str) -> Iterator[None]:
    """The variables that feature_repo reads, for as long as Feast reads them."""
    wanted = {"PLATFORM_HOME": str(home), "REDIS_CONNECTION": connection_string(redis_url)}
    before = {name: os.environ.get(name) for name in wanted}
    os.environ.update(wanted)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


@contextmanager
def _quiet() -> Iterator[None]:
    """Feast prints its progress; ibis warns of a DuckDB method that it uses itself."""
    with Path(os.devnull).open("w") as nowhere, redirect_stdout(nowhere), warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        yield
