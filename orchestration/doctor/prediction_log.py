"""Does the prediction log land, and was any of it lost?"""

import re

import httpx
import redis

from orchestration.doctor.finding import Finding, State, duration
from orchestration.settings import Settings
from serving_gateway.control import keys

# The log lands every five minutes where its schedule is on.
BEHIND_S = 30 * 60.0
_LOST = {
    "serving_app_spool_dropped_records_total": "records were lost: the spool is full or the disk refuses",
    "serving_app_spool_damaged_segments_total": "segments of the spool were damaged and set aside",
}


def check_prediction_log(settings: Settings) -> list[Finding]:
    """Raises httpx.HTTPError where the gateway is away, redis.RedisError where Redis is."""
    with httpx.Client(base_url=settings.gateway_url, timeout=5, trust_env=False) as gateway:
        metrics, spool_bytes = gateway.get("/metrics").text, int(gateway.get("/health").json()["spool_bytes"])
    client = redis.Redis.from_url(settings.redis_url, socket_timeout=5, socket_connect_timeout=2)
    waiting = int(client.xlen(keys.PREDICTIONS))
    first: list[tuple[bytes, object]] = client.xrange(keys.PREDICTIONS, count=1)  # type: ignore[assignment]
    seconds, _ = client.time()
    oldest_s = seconds - int(first[0][0].split(b"-")[0]) / 1000 if first else 0.0
    return judge_prediction_log(metrics, spool_bytes, waiting, oldest_s)


def judge_prediction_log(metrics: str, spool_bytes: int, waiting: int, oldest_s: float) -> list[Finding]:
    """`metrics` as the gateway exposes them; `waiting` batches in the stream, the oldest for `oldest_s` seconds."""
    found = [_finding("attention", f"{n:.0f} {what}") for name, what in _LOST.items() if (n := _value(metrics, name))]
    size = f"{spool_bytes / 1e6:.1f} MB have not landed"
    if oldest_s > BEHIND_S:
        found.append(
            _finding("attention", f"{waiting} batches wait, the oldest for {duration(oldest_s)}; {size}: land them")
        )
    return found or [_finding("ok", f"{waiting} batches wait to land, {size}")]


def _value(metrics: str, name: str) -> float:
    return sum(float(value) for value in re.findall(rf"^{name}(?:{{.*}})? (\S+)$", metrics, re.MULTILINE))


def _finding(state: State, says: str) -> Finding:
    return Finding("prediction log", state, says, "3.5 Prediction log")
