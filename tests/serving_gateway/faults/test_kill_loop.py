"""Gateway and Redis killed with -9 again and again under load: every answered prediction is in Parquet, once for readers."""

import os
import random
import signal
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path

import polars as pl
import pytest
import redis

from orchestration.ingestion.predictions import land, read_predictions
from serving_gateway.contracts.prediction_log import encode_frame
from tests.servers import RedisServer, free_port, redis_server
from tests.serving_gateway.faults.conftest import Told
from tests.serving_gateway.faults.load import asked
from tests.serving_gateway.faults.windows import DAY
from tests.serving_gateway.support import (
    CONTRACT,
    TWO,
    GatewayProcess,
    gateway_process,
    publish_state,
    state_of,
    wait_for,
)

pytestmark = pytest.mark.integration


class Platform:
    """A gateway, its Redis as the embedded profile runs it, and a landing that goes on all the time."""

    def __init__(self, home: Path, triton: Told, stack: ExitStack) -> None:
        self.home, self.lake = home, home / "lake"
        self._triton, self._stack = triton, stack
        self.ports = free_port(), free_port()
        self._stop = threading.Event()
        self.redis = self._redis()
        publish_state(self.redis.url, state_of(CONTRACT, TWO, weight_bp=3000), CONTRACT, TWO)
        self._lives = self._kills = 0
        self.gateway = self._gateway()
        landing = threading.Thread(target=self._land)
        landing.start()
        stack.callback(landing.join)
        stack.callback(self._stop.set)

    def kill_redis(self) -> None:
        """Kill and start again, every other time without its append-only file: it has forgotten everything then."""
        self.redis.process.kill()
        self.redis.process.wait()
        self._kills += 1
        if self._kills % 2 == 0:
            for file in (self.home / "redis").rglob("appendonly*.*"):
                file.unlink()
        self.redis = self._redis()

    def kill_gateway(self) -> None:
        """Kill parent and workers, tear the tail of what they wrote last, start again, under another id every other time."""
        pid = self.gateway.process.pid
        for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
            os.kill(int(child), signal.SIGKILL)
        self.gateway.process.kill()
        self.gateway.process.wait()
        segments = sorted((self.home / "gateway" / "spool").glob("*/*.seg"), key=lambda path: path.stat().st_mtime)
        with segments[-1].open("ab") as newest:
            newest.write(encode_frame(b"torn" * 50)[:90])
        self.gateway = self._gateway()

    def land_the_rest(self, ids: set[str]) -> pl.DataFrame:
        """What is read when all of `ids` have landed."""
        wait_for(lambda: ids <= set(read_predictions(self.lake, *DAY)["prediction_id"]), timeout_s=30)
        return read_predictions(self.lake, *DAY)

    def _redis(self) -> RedisServer:
        return self._stack.enter_context(redis_server(self.home / "redis", "--appendonly", "yes", port=self.ports[0]))

    def _gateway(self) -> GatewayProcess:
        self._lives += 1
        name = f"g{self._lives // 2}"
        made = gateway_process(
            self.home, self.redis.url, self._triton.http, port=self.ports[1], GATEWAY_ID=name, GATEWAY_WORKERS="2"
        )
        return self._stack.enter_context(made)

    def _land(self) -> None:
        with redis.Redis.from_url(self.redis.url) as client:
            while not self._stop.wait(0.05):
                with suppress(redis.RedisError):
                    land(client, self.lake)


@pytest.mark.parametrize("kills", [2, pytest.param(10, marks=pytest.mark.full)])
def test_every_answered_prediction_lands_whoever_is_killed(kills: int, triton: Told, tmp_path: Path) -> None:
    chance = random.Random(2013)
    with ExitStack() as stack:
        platform = Platform(tmp_path, triton, stack)
        turns: list[Callable[[], None]] = [platform.kill_gateway, platform.kill_redis] * kills
        chance.shuffle(turns)
        with asked(platform.ports[1], connections=6, pause_s=0.005) as load:
            for kill in turns:
                until = time.monotonic() + chance.uniform(0.1, 0.8)
                wait_for(lambda until=until: time.monotonic() > until)  # type: ignore[misc]
                kill()
            asks = platform.gateway.metric("serving_app_requests_total")
            wait_for(lambda: platform.gateway.metric("serving_app_requests_total") > asks + 50)
        answered = load.ids
        rows = platform.land_the_rest(set(answered))
        dropped = platform.gateway.metric("serving_app_spool_dropped_records_total")
        stored = sum(pl.read_parquet(file).height for file in platform.lake.glob("predictions/*/*.parquet"))
    log = "".join(file.read_text() for file in tmp_path.glob("gateway-*.log"))
    print(
        f"gateway and Redis killed {kills} times each, every other time Redis forgot all: {len(answered)} predictions answered, {rows.height} in the log, "
        f"{stored} rows stored; {log.count('cut a torn tail')} torn tails cut; statuses {dict(load.statuses)}"
    )
    assert set(load.statuses) <= {200, 0}  # 0: the connection of a gateway that was killed
    assert (
        load.statuses[0] <= 2 * 6 * kills
    )  # a new connection waits at the parent when that is killed after its workers
    assert len(answered) > 100 * kills
    assert len(set(answered)) == len(answered)
    assert rows["prediction_id"].is_unique().all()
    assert set(answered) <= set(rows["prediction_id"])
    assert log.count("cut a torn tail") == kills
    assert dropped == 0
