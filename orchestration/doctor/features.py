"""How old is the online store, by the event clock?"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from itertools import islice

import redis

from orchestration.doctor.finding import Finding, State, duration
from orchestration.event_clock import event_now
from orchestration.features.layout import read_layouts
from orchestration.features.store import online_client
from orchestration.features.views import PROJECT
from orchestration.settings import Settings
from serving_gateway.contracts.online_layout import ViewLayout, decode_timestamp
from serving_gateway.control.store import RolloutStore

# Entities that are looked at. A larger store is judged by this many of them, as Redis gives them.
SAMPLE = 20_000
_CHUNK = 1000
AHEAD_S = 300.0


def check_features(settings: Settings) -> list[Finding]:
    """Raises redis.RedisError where Redis is away."""
    try:
        layouts = read_layouts(settings.feature_layout)
    except FileNotFoundError:
        return [_finding("attention", "nothing is registered: run the job materialize_online")]
    client = redis.Redis.from_url(settings.redis_url, socket_timeout=5, socket_connect_timeout=2)
    now = event_now(settings, RolloutStore(client))
    online = online_client(settings.features_redis_url, timeout_s=5)
    return judge_features(newest(online, layouts), layouts, now)


def newest(client: "redis.Redis", layouts: Sequence[ViewLayout]) -> dict[str, float]:
    """View to the newest event time (UNIX seconds) that any looked-at entity has in it; absent where none has."""
    fields = [layout.timestamp_field for layout in layouts]
    found: dict[str, float] = {}
    entities = islice(client.scan_iter(match=b"?\x00\x00\x00*" + PROJECT.encode(), count=_CHUNK), SAMPLE)
    while keys := list(islice(entities, _CHUNK)):
        with client.pipeline(transaction=False) as pipeline:
            for key in keys:
                pipeline.hmget(key, fields)
            for stamps in pipeline.execute():
                for layout, stamp in zip(layouts, stamps, strict=True):
                    time_s = decode_timestamp(stamp)
                    if time_s is not None:
                        found[layout.name] = max(time_s, found.get(layout.name, time_s))
    return found


def judge_features(newest_s: Mapping[str, float], layouts: Sequence[ViewLayout], now: datetime) -> list[Finding]:
    """A view whose newest value has expired serves nothing: the model sees NaN."""
    clock = f"the event clock says {now:%Y-%m-%d %H:%M} UTC"
    if not newest_s:
        return [_finding("attention", "the online store is empty: run the job materialize_online")]
    ages = {layout.name: now.timestamp() - newest_s[layout.name] for layout in layouts if layout.name in newest_s}
    missing = [layout.name for layout in layouts if layout.name not in ages]
    expired = {v.name: ages[v.name] for v in layouts if v.name in ages and v.ttl_s and ages[v.name] > v.ttl_s}
    found = []
    if missing:
        found.append(_finding("attention", f"no entity has values of {', '.join(missing)}"))
    if expired:
        named = ", ".join(f"{name} ({duration(age)})" for name, age in expired.items())
        found.append(_finding("attention", f"{len(expired)} of {len(layouts)} views have expired: {named}; {clock}"))
    ahead = -min(ages.values())
    if ahead > AHEAD_S:
        found.append(
            _finding("attention", f"values are {duration(ahead)} newer than the event clock: {clock}; rewind the store")
        )
    fresh = f"all {len(layouts)} views are fresh, the newest values {duration(min(ages.values()))} old; {clock}"
    return found or [_finding("ok", fresh)]


def _finding(state: State, says: str) -> Finding:
    return Finding("online store", state, says, "3.3 Online features")
