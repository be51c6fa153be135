"""The online store as the updater keeps it: an asset that Dagster does not make, with its freshness, lag and a check."""

from datetime import UTC, datetime
from typing import Any

import dagster as dg
import redis

from orchestration.defs.common import OWNERS
from orchestration.defs.due import or_skip
from orchestration.event_clock import event_time
from orchestration.features.live.freshness import Freshness, look
from orchestration.features.store import online_client
from orchestration.notices.send import send
from orchestration.notices.wording import stale_features
from orchestration.settings import Settings
from serving_gateway.control.store import RolloutStore

live_features = dg.AssetSpec(
    "live_features",
    deps=["online_store"],
    group_name="features",
    kinds={"redis"},
    owners=OWNERS,
    tags={"layer": "features"},
    description="Every event within seconds in Redis. Kept by the updater, a process beside Dagster; observed here.",
)
FRESH = dg.AssetCheckKey(live_features.key, "features_are_fresh")
STALE, WELL = "stale", "well"


@dg.asset_check(
    asset=live_features.key,
    description="The watermark against the event clock, and what waits in the stream: by policy.",
)
def features_are_fresh() -> dg.AssetCheckResult:
    """Looks now. The sensor reports the same every half minute. Where nothing can be told, nothing is proven."""
    found = _look(Settings.load())
    return dg.AssetCheckResult(
        passed=found.verdict == "fresh", severity=dg.AssetCheckSeverity.WARN, metadata=_metadata(found)
    )


@dg.sensor(
    minimum_interval_seconds=30,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Freshness and lag of the live features become an observation and a check; where they turn stale, a notice.",
)
@or_skip
def observe_live_features(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
    """The cursor says whether it was stale at the last look, so that one notice tells of one time."""
    settings = Settings.load()
    found = _look(settings)
    if found.verdict == "unknown":
        return dg.SkipReason(found.reason)
    stale = found.verdict == "stale"
    if stale and context.cursor != STALE:
        send(stale_features(found.reason, f"{settings.dagster_url}/assets/live_features", datetime.now(UTC)), settings)
    evaluation = dg.AssetCheckEvaluation(
        asset_key=FRESH.asset_key,
        check_name=FRESH.name,
        passed=not stale,
        severity=dg.AssetCheckSeverity.WARN,
        metadata=_metadata(found),
    )
    observation = dg.AssetObservation(live_features.key, description=found.reason, metadata=_metadata(found))
    return dg.SensorResult(asset_events=[observation, evaluation], cursor=STALE if stale else WELL)


def _look(settings: Settings) -> Freshness:
    client = redis.Redis.from_url(settings.redis_url, socket_timeout=2, socket_connect_timeout=2)
    now = event_time(settings, RolloutStore(client))
    return look(online_client(settings.features_redis_url, timeout_s=2), client, now)


def _metadata(found: Freshness) -> dict[str, Any]:
    document = found.document
    metadata: dict[str, Any] = {"reason": found.reason, "events waiting": found.lag_entries, "lag, s": found.lag_s}
    if found.behind_s is not None:
        metadata["behind the event clock, s"] = found.behind_s
    if document is not None and document.watermark_us is not None:
        metadata |= {
            "watermark": datetime.fromtimestamp(document.watermark_us / 1e6, UTC).isoformat(),
            "events": document.events,
            "duplicates": document.duplicates,
            "superseded": document.superseded,
            "late": document.late,
            "refused": document.refused,
            "refills": document.refills,
        }
        if document.last_refill is not None:
            metadata["last refill"] = f"{document.last_refill.reason}, {document.last_refill.seconds:.1f} s"
    return metadata
