"""Feast as the batch side uses it: open, apply, materialize, empty. The same as its command line, without its chatter."""

import json
import os
import re
import runpy
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, redirect_stdout
from datetime import datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from orchestration.features.views import PROJECT, VIEWS
from orchestration.settings import default_registry
from serving_gateway.contracts.online_address import parse_address

if TYPE_CHECKING:
    import redis

DEFINITIONS = "flight_features.py"


def connection_string(url: str) -> str:
    """Feast's form (host:port[,host:port...],db=N[,password=...]) of an online store's address. Raises ValueError."""
    address = parse_address(url)
    if not address.nodes:
        raise ValueError(f"Feast reaches no Redis over a unix socket: {url}")
    options = address.options
    parts = [f"{host}:{port}" for host, port in address.nodes]
    parts += [] if address.kind == "cluster" else [f"db={options.get('db', 0)}"]
    parts += [f"{name}={_text(options[name])}" for name in ("username", "password") if options.get(name)]
    return ",".join(parts + (["ssl=true"] if "connection_class" in options else []))


def _text(value: str) -> str:
    """A text such that Feast reads it as it is: it takes a comma for the end, and what is JSON (0123, true) for its value.

    The file in which the variable stands is YAML, so that `#` and `:` would be more than themselves.
    """
    if re.fullmatch(r"[A-Za-z_@!.~+-][\w@!.~+-]*", value, re.ASCII) and not _is_json(value):
        return value
    units = (value.encode("utf-16-be")[at : at + 2] for at in range(0, len(value.encode("utf-16-be")), 2))
    return '"' + "".join(f"\\u{int.from_bytes(unit):04x}" for unit in units) + '"'


def _is_json(value: str) -> bool:
    try:
        json.loads(value)
    except ValueError:
        return False
    return True


def online_client(url: str, *, timeout_s: float | None = None) -> "redis.Redis":
    """A client of the online store wherever it is (a RedisCluster has the methods that are used here).

    Raises ValueError for a malformed address, redis.RedisError where a cluster or a Sentinel does not answer.
    """
    import redis
    from redis.cluster import ClusterNode
    from redis.exceptions import RedisClusterException
    from redis.sentinel import Sentinel

    address = parse_address(url)
    timeouts = {"socket_timeout": timeout_s, "socket_connect_timeout": timeout_s}
    if address.kind == "single":
        return redis.Redis.from_url(url, **timeouts)
    options = {k: v for k, v in address.options.items() if k not in ("db", "connection_class")} | timeouts
    options["ssl"] = "connection_class" in address.options
    if address.kind == "cluster":
        nodes = [ClusterNode(*node) for node in address.nodes]  # type: ignore[no-untyped-call]
        try:
            return redis.RedisCluster(startup_nodes=nodes, **options)  # type: ignore[return-value]
        except RedisClusterException as error:  # redis-py's only one that is no RedisError
            raise redis.ConnectionError(str(error)) from error
    sentinel = Sentinel(address.nodes, sentinel_kwargs=timeouts, db=address.options.get("db", 0), **options)  # type: ignore[no-untyped-call]
    return sentinel.master_for(address.master)  # type: ignore[no-any-return, no-untyped-call]


def feast_environment(home: Path, redis_url: str, registry: str = "") -> dict[str, str]:
    """The variables that feature_repo reads, also under Feast's command line.

    Args:
        home: PLATFORM_HOME.
        redis_url: the online store. Raises ValueError for what `connection_string` does.
        registry: the registry's address in SQLAlchemy's form; empty: SQLite under `home`.
    """
    return {
        "PLATFORM_HOME": str(home),
        "REDIS_CONNECTION": connection_string(redis_url),
        "FEAST_REGISTRY": registry or default_registry(home),
    }


def open_store(repo: Path, home: Path, redis_url: str, registry: str = "") -> Any:
    """The `feast.FeatureStore` of `repo` (the folder of feature_store.yaml); the rest as `feast_environment` has it."""
    environment = feast_environment(home, redis_url, registry)
    _prepare_database(environment["FEAST_REGISTRY"])
    with _set(environment):
        from feast import FeatureStore

        store = FeatureStore(repo_path=str(repo))
    _check_kind(store, redis_url)
    return store


def apply(repo: Path, home: Path, redis_url: str, registry: str = "") -> Any:
    """Register the definitions of `repo`, as `feast apply` does; returns the `feast.FeatureStore`."""
    from feast import Entity, FeatureService, FeatureView, Project

    for view in VIEWS:  # Feast warns of folders that are not there yet
        (home / "lake" / "features" / view.name).mkdir(parents=True, exist_ok=True)
    store = open_store(repo, home, redis_url, registry)
    with _set(feast_environment(home, redis_url, registry)):
        defined = runpy.run_path(str(repo / DEFINITIONS)).values()
    with _quiet():
        store.apply([d for d in defined if isinstance(d, Project | Entity | FeatureView | FeatureService)])
    return store


@contextmanager
def rehearsed(repo: Path, home: Path, redis_url: str) -> Iterator[Any]:
    """A `feast.FeatureStore` with the definitions of `repo` applied to a registry of its own, which goes with the block.

    What they come to is Feast's to say (it may infer a schema from the files); neither the platform's registry nor the
    online store is touched.
    """
    with TemporaryDirectory(prefix="registry-") as folder:
        yield apply(repo, home, redis_url, f"sqlite:///{folder}/registry.sqlite")


def materialize(store: Any, until: datetime) -> None:
    """Bring the online store to the state of `until` (UTC, inclusive): the last row of each key that has not expired.

    Each view is read back by its ttl and no further: older rows would be found expired, and the views of a row a minute
    stay small. Feast ignores rows older than what is stored: to go back in time, `empty_online` first.

    Raises LookupError where the registry holds no view: nothing would be written, and nobody would hear of it.
    """
    views = store.list_feature_views()
    if not views:
        raise LookupError("Feast's registry holds no views: materialize feature_registry first")
    with _quiet():
        for view in views:
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


def _check_kind(store: Any, url: str) -> None:
    """Feast takes the kind of Redis from its file, the platform from the address: they must say the same."""
    address, online = parse_address(url), store.config.online_store
    expected = "redis" if address.kind == "single" else f"redis_{address.kind}"
    if online.redis_type.value != expected:
        raise ValueError(
            f"FEATURES_REDIS_URL names a {expected}: set `redis_type: {expected}` under online_store in"
            f" {store.repo_path / 'feature_store.yaml'}, where {online.redis_type.value} stands"
        )
    if address.kind == "sentinel" and online.sentinel_master != address.master:
        raise ValueError(
            f"FEATURES_REDIS_URL names the master {address.master}: set `sentinel_master: {address.master}` under"
            f" online_store in {store.repo_path / 'feature_store.yaml'}, where {online.sentinel_master} stands"
        )


def _prepare_database(registry: str) -> None:
    """SQLite makes its file, not the folder; and in its own journal mode readers would wait for each that writes."""
    from sqlalchemy import create_engine, make_url
    from sqlalchemy.exc import ArgumentError

    try:
        address = make_url(registry)
    except ArgumentError:  # whose message would show the password
        raise ValueError(
            "FEAST_REGISTRY is no address of a database: it must read like sqlite:////absolute/path or"
            " postgresql+psycopg://user:password@host/database"
        ) from None
    if address.get_backend_name() == "sqlite" and address.database:
        Path(address.database).parent.mkdir(parents=True, exist_ok=True)
        engine = create_engine(address)
        with engine.connect() as connection:
            connection.exec_driver_sql("PRAGMA journal_mode = WAL")  # kept in the file
        engine.dispose()


@contextmanager
def _set(wanted: Mapping[str, str]) -> Iterator[None]:
    """Environment variables, for as long as Feast reads them."""
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
