"""The batch engine at every kind of address that Feast knows, and from the shell."""

import os
import shutil
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest
import redis

from orchestration.features.compute import read_view, write_features
from orchestration.features.layout import view_layouts
from orchestration.features.online import read_online
from orchestration.features.store import apply, feast_environment, materialize, online_client
from orchestration.features.views import PROJECT, VIEWS
from tests.orchestration.features import feast_stores
from tests.orchestration.features.feast_stores import NOW, only, rows
from tests.orchestration.features.lakes import raw_lake
from tests.servers import BIN, ROOT, free_port, redis_cluster, redis_server, running, until
from tests.serving_gateway.test_online_cluster import answers
from tests.serving_gateway.test_online_connection import certificate

pytestmark = pytest.mark.integration
KEYS = [f"a{n}" for n in range(300)]
FRAME = rows([NOW - timedelta(minutes=1)] * len(KEYS), k1=KEYS)


def stored_by(folder: Path, connection: str, **options: object) -> int:
    """Materialize FRAME; Feast reads every value back, and writes nothing new: returns how many rows it finds."""
    made = feast_stores.store(folder / "store", connection, FRAME, fields=only("i"), **options)
    feast_stores.materialize(made)
    answer = made.get_online_features(features=["view:i"], entity_rows=[{"k1": key} for key in KEYS]).to_dict()
    return sum(found == n for n, found in enumerate(answer["i"]))


def test_a_cluster(tmp_path: Path) -> None:
    with redis_cluster(tmp_path) as nodes:
        address = ",".join(f"127.0.0.1:{node.port}" for node in nodes)
        assert stored_by(tmp_path, address, redis_type="redis_cluster", key_ttl_seconds=60) == len(KEYS)
        for node in nodes:
            with redis.Redis(port=node.port) as client:
                assert client.dbsize() > 50
                assert all(client.ttl(key) > 0 for key in client.scan_iter())


def test_a_master_behind_a_sentinel(tmp_path: Path) -> None:
    with redis_server(tmp_path) as master:
        configuration, port = tmp_path / "sentinel.conf", free_port()
        configuration.write_text(
            f"port {port}\nbind 127.0.0.1\ndir {tmp_path}\nsentinel monitor mymaster 127.0.0.1 {master.port} 1\n"
        )
        with (
            redis.Redis(port=port) as sentinel,
            running(
                "sentinel",
                [BIN / "redis-server", configuration, "--sentinel"],
                tmp_path,
                lambda: answers(sentinel),
                timeout_s=10,
            ),
        ):
            until(lambda: bool(sentinel.sentinel_masters()), "the Sentinel knows the master")
            assert stored_by(tmp_path, f"127.0.0.1:{port}", redis_type="redis_sentinel") == len(KEYS)


def test_a_cluster_that_is_away_is_said_to_be_redis(tmp_path: Path) -> None:
    port = free_port()
    with pytest.raises(RuntimeError, match=r"feature view view .*for Redis: .*redis_type in feature_store.yaml"):
        stored_by(tmp_path, f"127.0.0.1:{port}", redis_type="redis_cluster")
    with pytest.raises(redis.ConnectionError, match="cannot be connected"):
        online_client(f"redis+cluster://127.0.0.1:{port}", timeout_s=1)


def test_tls_and_a_password(tmp_path: Path) -> None:
    """The bundled Redis speaks no TLS: a relay in front of it does."""
    pem = certificate(tmp_path)
    with redis_server(tmp_path) as server, tls_relay(pem, server.port) as port:
        with redis.Redis(port=server.port) as client:
            client.config_set("requirepass", "s=cret")
        safe = f"127.0.0.1:{port},ssl=true,ssl_ca_certs={pem}"
        with pytest.raises(RuntimeError, match=r"feature view view .*for Redis: .*authenticated"):
            stored_by(tmp_path, safe)
        with pytest.raises(
            RuntimeError, match=r"view view .*for Redis: .*CERTIFICATE_VERIFY_FAILED.*connection_string.*again"
        ):
            stored_by(tmp_path, f"127.0.0.1:{port},ssl=true,password=s=cret")
        assert stored_by(tmp_path, f"{safe},password=s=cret") == len(KEYS)


@contextmanager
def tls_relay(pem: Path, port: int) -> Iterator[int]:
    """A port of loopback that speaks TLS and passes what it hears to `port`."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(pem)

    def copy(source: socket.socket, target: socket.socket) -> None:
        try:
            while data := source.recv(65536):
                target.sendall(data)
        except OSError:
            pass  # the other side has gone: so does this one
        finally:
            for end in (source, target):
                end.close()

    def serve(listener: socket.socket) -> None:
        while True:
            try:
                plain, _ = listener.accept()
            except OSError:
                return  # closed: the test is over
            try:
                client = context.wrap_socket(plain, server_side=True)
            except OSError:
                continue  # a client that does not trust the certificate
            store = socket.create_connection(("127.0.0.1", port))
            for pair in ((client, store), (store, client)):
                threading.Thread(target=copy, args=pair, daemon=True).start()

    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        threading.Thread(target=serve, args=(listener,), daemon=True).start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)


@pytest.mark.full
def test_incremental_materialization_from_the_shell_goes_on_where_it_ended(tmp_path: Path, redis_url: str) -> None:
    start, end = date(2013, 2, 4), date(2013, 2, 5)
    raw_lake(tmp_path / "lake", start, end)
    write_features(tmp_path / "lake", start, end)
    repo = shutil.copytree(ROOT / "feature_repo", tmp_path / "feature_repo")
    store = apply(repo, tmp_path, redis_url)
    assert type(store._get_provider().batch_engine).__name__ == "RedisBatchEngine"
    noon = datetime(2013, 2, 4, 12, tzinfo=UTC)
    materialize(store, noon)
    environment = os.environ | feast_environment(tmp_path, redis_url) | {"DO_NOT_TRACK": "true"}
    for hours in (1, 5):
        moment = noon + timedelta(hours=hours)
        done = subprocess.run(
            [BIN / "feast", "--chdir", repo, "materialize-incremental", moment.isoformat()[:19]],
            env=environment,
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        store.refresh_registry()
        for layout in view_layouts(store):
            assert store.get_feature_view(layout.name).most_recent_end_time == moment
            columns = layout.join_keys or ("__dummy_id",)
            features = read_view(tmp_path / "lake" / "features", layout.name, start, end)
            last = features.filter(pl.col("event_timestamp") <= moment).sort("event_timestamp")
            last = last.unique(columns, keep="last").filter(pl.col("event_timestamp") > noon)
            keys = last.select(layout.join_keys).rows() if layout.join_keys else [()] * last.height
            with redis.Redis.from_url(redis_url) as client:
                found = read_online(client, PROJECT, layout, keys)
            assert [row and row.event_time_s for row in found] == [t.timestamp() for t in last["event_timestamp"]]
            assert found or layout.name == "origin_weather"
    assert len(VIEWS) == len(view_layouts(store))
