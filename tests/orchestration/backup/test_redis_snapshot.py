"""Redis while it runs, with a password or none, and whose it is."""

from pathlib import Path

import pytest
import redis

from orchestration.backup.create import create
from orchestration.backup.manifest import BackupError, verify
from orchestration.backup.redis_snapshot import RESTORED_AS, snapshot
from orchestration.backup.restore import restore
from orchestration.embedded.claim import claim
from orchestration.settings import Settings
from tests.orchestration.backup.homes import small_home
from tests.servers import free_port, redis_server

pytestmark = pytest.mark.integration
AOF = ("--appendonly", "yes")


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("REDIS_URL", "FEATURES_REDIS_URL", "REPORTS_PATH", "INCIDENTS_PATH"):
        monkeypatch.delenv(name, raising=False)
    home = small_home(tmp_path / "home")
    (home / "redis" / "appendonly.aof").unlink()
    return home


def fill(client: "redis.Redis") -> None:
    client.set("document", "1")
    client.hset("row", mapping={b"\x00\xff": b"\x01"})  # type: ignore[misc]
    client.xadd("stream", {"n": "1"}, id="5-1")
    client.xadd("stream", {"n": "2"}, id="5-2")
    client.xdel("stream", "5-2")
    client.expire("row", 1000)


def told(client: "redis.Redis") -> dict[bytes, bytes]:
    assert 0 < int(client.ttl("row")) <= 1000
    assert client.xinfo_stream("stream")["last-generated-id"] == b"5-2"  # of what was deleted, too
    return {key: client.dump(key) for key in client.scan_iter()}  # type: ignore[misc]


def test_a_running_redis_comes_back_whole_and_goes_on_appending(home: Path, tmp_path: Path) -> None:
    with redis_server(home / "redis", *AOF) as server, redis.Redis.from_url(server.url) as client, claim(home):
        fill(client)
        wanted = told(client)
        backup = create(Settings(home=home, redis_port=server.port), tmp_path / "backups")
        assert (told(client), client.info("persistence")["aof_enabled"]) == (wanted, 1)
        version = client.info("server")["redis_version"]
    assert verify(backup).versions["redis"] == version
    restore(backup, tmp_path / "new")
    with redis_server(tmp_path / "new" / "redis", *AOF) as server, redis.Redis.from_url(server.url) as client:
        assert told(client) == wanted
        client.set("after", "2")
    with redis_server(tmp_path / "new" / "redis", *AOF) as server, redis.Redis.from_url(server.url) as client:
        assert client.get("after") == b"2"
        client.delete("after")
        assert told(client) == wanted


def test_another_homes_redis_on_the_port_is_not_taken_for_ours(home: Path, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    with redis_server(tmp_path / "other") as server, claim(home):
        with pytest.raises(BackupError, match=f"the Redis on port {server.port} is not that of {home}: set REDIS_PORT"):
            create(Settings(home=home, redis_port=server.port), tmp_path / "backups")
        assert [path.name for path in (tmp_path / "backups").iterdir()] == [".lock"]


def test_a_redis_that_does_not_answer_is_no_backup(home: Path, tmp_path: Path) -> None:
    with claim(home), pytest.raises(BackupError, match="Redis does not answer"):
        create(Settings(home=home, redis_port=free_port()), tmp_path / "backups")
    assert [path.name for path in (tmp_path / "backups").iterdir()] == [".lock"]


def test_one_elsewhere_is_asked_by_its_address_with_its_password(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "far").mkdir()
    with redis_server(tmp_path / "far") as server:
        url = f"redis://:s3cret@127.0.0.1:{server.port}/0"
        with redis.Redis.from_url(server.url) as client:
            fill(client)
            wanted = told(client)
            client.config_set("requirepass", "s3cret")
        monkeypatch.setenv("REDIS_URL", url)
        backup = create(Settings(home=home), tmp_path / "backups")
        with pytest.raises(BackupError, match="Redis does not answer") as raised:
            snapshot(f"redis://:wr0ng@127.0.0.1:{server.port}/0", tmp_path / "none.rdb")
        assert "wr0ng" not in str(raised.value)
    assert "s3cret" not in (backup / "manifest.json").read_text()
    (tmp_path / "new").mkdir()
    (backup / "home" / RESTORED_AS).rename(tmp_path / "new" / "appendonly.aof")
    with redis_server(tmp_path / "new", *AOF) as server, redis.Redis.from_url(server.url) as client:
        assert told(client) == wanted


def test_a_snapshot_that_does_not_arrive_is_said_in_rediss_words(home: Path, tmp_path: Path) -> None:
    (tmp_path / "redis").mkdir()
    said = r"(?s)Redis sent no snapshot: .*unknown command `SYNC`"
    with (
        redis_server(tmp_path / "redis", "--rename-command", "SYNC", "") as server,
        pytest.raises(BackupError, match=said),
    ):
        snapshot(server.url, tmp_path / "none.rdb")
