"""The updater as a process: start, every absence of a Redis, stop."""

import argparse
import logging
import signal
import sys
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime

import redis
from redis.exceptions import RedisClusterException

from orchestration.features.live.journal import Journal, JournalTakenError
from orchestration.features.live.metrics import Metrics, served
from orchestration.features.live.policy import HUNG_S, RETRY_S
from orchestration.features.live.store import LiveStore
from orchestration.features.live.updater import Places, Updater
from orchestration.features.live.watermark import Refill
from orchestration.features.store import online_client
from orchestration.notices.send import send
from orchestration.notices.wording import online_store_lost
from orchestration.settings import Settings

_log = logging.getLogger(__name__)
_TIMEOUT_S = 5.0
_AWAY = (redis.RedisError, RedisClusterException)


class Process:
    """The updater from start to stop, through every absence of a Redis."""

    def __init__(self, settings: Settings, journal: Journal, metrics: Metrics) -> None:
        self._settings = settings
        self._journal = journal
        self._metrics = metrics
        self._updater: Updater | None = None
        self._away = ""
        self._alive_at = time.monotonic()

    def health(self) -> tuple[bool, str]:
        """Whether it works (a Redis that is away is no fault of its own), and its problem."""
        problem = self._away or (self._updater.problem if self._updater else "")
        return time.monotonic() - self._alive_at < HUNG_S, problem

    def run(self, stop: threading.Event) -> None:
        """Cycle until `stop` is set; what is under way is finished."""
        delay_s = RETRY_S[0]
        while not stop.is_set():
            self._alive_at = time.monotonic()
            try:
                self._cycle()
            except _AWAY as error:
                self._metrics.store_up.set(0)
                if not self._away:
                    _log.warning("a Redis is away, trying again until it is back: %s", error)
                self._away = f"a Redis is away: {error}"
                stop.wait(delay_s)
                delay_s = min(2 * delay_s, RETRY_S[1])
            else:
                delay_s = RETRY_S[0]
                if self._away:
                    _log.info("Redis is back")
                self._away = ""

    def _cycle(self) -> None:
        if self._updater is None:
            stream = redis.Redis.from_url(
                self._settings.redis_url, socket_timeout=_TIMEOUT_S, socket_connect_timeout=_TIMEOUT_S
            )
            online = online_client(self._settings.features_redis_url, timeout_s=_TIMEOUT_S)
            self._updater = Updater(self._journal, stream, LiveStore(online), self._places(), self._metrics)
        self._updater.cycle()

    def _places(self) -> Places:
        settings = self._settings
        return Places(settings.lake, settings.feature_layout, settings.late_events, self._notify)

    def _notify(self, refill: Refill) -> None:
        link = f"{self._settings.updater_url}/metrics"
        send(online_store_lost(refill.reason, refill.seconds, refill.rows, datetime.now(UTC), link), self._settings)


def main(arguments: list[str] | None = None) -> int:
    """Exit 0 when it was asked to stop, 1 where it cannot start."""
    parser = argparse.ArgumentParser(
        prog="python -m orchestration.features.live",
        description="Apply events to the online store as they come. /metrics and /health on UPDATER_PORT.",
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default 127.0.0.1)")
    given = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _setter(stop))
    try:
        settings = Settings.load()
        metrics = Metrics()
        with Journal(settings.event_journal) as journal:
            process = Process(settings, journal, metrics)
            with served(settings.updater_port, metrics, process.health, given.host):
                process.run(stop)
    except (JournalTakenError, OSError, ValueError) as error:
        print(f"the updater ends: {error}", file=sys.stderr)
        return 1
    return 0


def _setter(stop: threading.Event) -> Callable[[int, object], None]:
    def on_signal(_number: int, _frame: object) -> None:
        stop.set()

    return on_signal
