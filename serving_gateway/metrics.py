"""Prometheus metrics of one gateway process. Label children are made once: finding one costs ten times as much as using it."""

from collections.abc import Sequence
from functools import cache

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics, generate_latest

from serving_gateway.contracts.prediction import Outcome

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_LATENCY_S = (0.0005, 0.001, 0.002, 0.003, 0.005, 0.0075, 0.01, 0.02, 0.03, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
_DIFFERENCE = (0.0001, 0.001, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5)
_AGE_S = (60, 300, 900, 3600, 3 * 3600, 6 * 3600, 12 * 3600, 24 * 3600, 48 * 3600)

disable_created_metrics()  # type: ignore[no-untyped-call]  # a second series per counter that nothing reads


class Metrics:
    """The metrics by name in code; `model_variant` is baseline, control, canary or shadow."""

    def __init__(self) -> None:
        r = self._registry = CollectorRegistry()
        app = "serving_app"
        variant = ["model_variant"]
        self._requests = Counter(f"{app}_requests", "Rows scored, by how that ended", [*variant, "outcome"], registry=r)
        self._latency = Histogram(
            f"{app}_request_latency_seconds",
            "From the request's arrival to its score",
            variant,
            buckets=_LATENCY_S,
            registry=r,
        )
        self._exceptions = Counter(
            f"{app}_request_exceptions", "Batches that an arm did not score", [*variant, "kind"], registry=r
        )
        self._views = Counter(f"{app}_feature_views", "Feature views read, by status", ["view", "status"], registry=r)
        self._ages = Histogram(
            f"{app}_feature_age_seconds", "Event time minus the view's timestamp", ["view"], buckets=_AGE_S, registry=r
        )
        self._responses = Counter(
            f"{app}_http_responses", "Responses by route and status", ["route", "status"], registry=r
        )
        self._refused = Gauge(
            f"{app}_arm_refused", "1: the arm named in the state is not used here", variant, registry=r
        )
        self._differences = Histogram(
            f"{app}_score_difference",
            "Absolute difference of two models' scores of one row: what the shadow or the canary said against the other",
            variant,
            buckets=_DIFFERENCE,
            registry=r,
        )
        self._flips = Counter(
            f"{app}_decision_flips",
            "Rows of those compared that the two models decide differently",
            variant,
            registry=r,
        )
        self.fallbacks = Counter(f"{app}_fallbacks", "Rows answered by the baseline for a failed canary", registry=r)
        self.shadow_dropped = Counter(f"{app}_shadow_dropped", "Rows the shadow had no room for", registry=r)
        self.feedback = Counter(f"{app}_feedback_rows", "Rows of ground truth taken into the log", registry=r)
        self.reflex_trips = Counter(f"{app}_reflex_trips", "Canaries stopped by this gateway", registry=r)
        self.generation = Gauge(f"{app}_rollout_generation", "Generation of the rollout state served", registry=r)
        self.epoch = Gauge(f"{app}_rollout_epoch", "Epoch of the rollout state served", registry=r)
        self.weight = Gauge(f"{app}_canary_weight", "Share of keys that the canary answers here, 0 to 1", registry=r)
        self.store_up = Gauge(f"{app}_rollout_store_up", "1: the rollout store answers", registry=r)
        self.spool_bytes = Gauge(f"{app}_spool_bytes", "Log on disk that has not landed", registry=r)
        self.spool_dropped = Counter(f"{app}_spool_dropped_records", "Log records lost to a full spool", registry=r)
        self.spool_damaged = Counter(f"{app}_spool_damaged_segments", "Log segments set aside as damaged", registry=r)
        self.requests = cache(self._requests.labels)
        self.exceptions = cache(self._exceptions.labels)
        self.latency = cache(self._latency.labels)
        self.views = cache(self._views.labels)
        self.ages = cache(self._ages.labels)
        self.responses = cache(self._responses.labels)
        self.refused = cache(self._refused.labels)
        self.differences = cache(self._differences.labels)
        self.flips = cache(self._flips.labels)
        for name in ("baseline", "control", "canary", "shadow"):
            self.requests(name, "ok")
            self.latency(name)

    def scored(self, name: str, latencies_s: Sequence[float]) -> None:
        """A batch was scored: the latency of each row, in seconds."""
        self.requests(name, "ok").inc(len(latencies_s))
        observe = self.latency(name).observe
        for latency_s in latencies_s:
            observe(latency_s)

    def failed(self, name: str, outcome: Outcome, rows: int) -> None:
        """A batch of `rows` was not scored."""
        self.requests(name, outcome).inc(rows)
        self.exceptions(name, outcome).inc()

    def compared(self, name: str, differences: Sequence[float], flips: int) -> None:
        """Rows were scored by the arm `name` on trial and by another: how far apart, and how many decisions differ."""
        self.flips(name).inc(flips)
        observe = self.differences(name).observe
        for difference in differences:
            observe(difference)

    def exposition(self) -> bytes:
        """The text format that Prometheus scrapes."""
        return generate_latest(self._registry)
