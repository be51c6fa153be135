"""Redis in a backup: everything it knows at one moment, as an RDB file, taken while it answers.

`redis-cli --rdb` asks for what a new replica gets (https://redis.io/docs/latest/commands/sync/): the server forks, writes its
memory as of the fork, and sends it; neither its append-only file nor its settings are touched. It works with every version,
and with a server elsewhere. To copy the append-only file instead, one would have to keep it from being rewritten meanwhile
(https://redis.io/docs/latest/operate/oss_and_stack/management/persistence/), on the server's own machine.
"""

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from orchestration.backup.manifest import BackupError
from orchestration.redis_programs import redis_program

# An append-only file may begin with an RDB file (`aof-use-rdb-preamble`), and may end there. From 7 on the server takes a
# file of this name, beside which it has no folder of its own, for the base of one.
RESTORED_AS = "redis/appendonly.aof"
_TIMEOUT_S = 600.0
_MAGIC = b"REDIS"


def snapshot(url: str, target: Path) -> str:
    """Write what the Redis at `url` knows to `target`; returns the server's version.

    Raises BackupError where it does not answer, or the snapshot did not arrive whole.
    """
    import redis

    program = redis_program("redis-cli")
    if program is None:
        raise BackupError("no redis-cli found: run `make setup`, or put one on PATH")
    try:
        with redis.Redis.from_url(url, socket_timeout=5, socket_connect_timeout=5) as client:
            version = str(client.info("server")["redis_version"])
            arguments, secret = _connection(client.connection_pool.connection_kwargs, tls=url.startswith("rediss:"))
    except (redis.RedisError, ValueError) as error:
        raise BackupError(f"Redis does not answer: {error}") from error
    target.parent.mkdir(parents=True, exist_ok=True)
    command = [program, *arguments, "--rdb", str(target)]
    try:
        done = subprocess.run(
            command, env={**os.environ, **secret}, capture_output=True, text=True, check=False, timeout=_TIMEOUT_S
        )
    except subprocess.TimeoutExpired:
        raise BackupError(f"Redis sent no whole snapshot within {_TIMEOUT_S:.0f} s") from None
    if done.returncode or not target.exists() or not target.read_bytes()[: len(_MAGIC)] == _MAGIC:
        raise BackupError(f"Redis sent no snapshot: {(done.stderr or done.stdout).strip()[-500:]}")
    return version


def belongs_to(url: str, folder: Path) -> bool:
    """Whether the Redis at `url` keeps its files in `folder`. Raises BackupError where it does not answer."""
    import redis

    try:
        with redis.Redis.from_url(url, socket_timeout=5, socket_connect_timeout=5) as client:
            told: Any = client.config_get("dir")
    except redis.RedisError as error:
        raise BackupError(f"Redis does not answer: {error}") from error
    return Path(told["dir"]).resolve() == folder.resolve()


def _connection(known: Mapping[str, Any], *, tls: bool) -> tuple[list[str], dict[str, str]]:
    """redis-cli's arguments and environment for what redis-py made of an address; the password is seen by nobody."""
    where = ["-s", str(known["path"])] if "path" in known else ["-h", str(known["host"]), "-p", str(known["port"])]
    user = ["--user", str(known["username"])] if known.get("username") else []
    secret = {"REDISCLI_AUTH": str(known["password"])} if known.get("password") else {}
    return [*where, *user, *(["--tls"] if tls else [])], secret
