"""The metrics of a gateway, by name in code. Each worker counts in a file of its own; any of them shows the sum."""

from collections.abc import Sequence

from serving_gateway.contracts.prediction import Outcome
from serving_gateway.instruments.exposition import CONTENT_TYPE, exposition
from serving_gateway.instruments.kinds import Instruments
from serving_gateway.instruments.slots import SlotFile

__all__ = ["CONTENT_TYPE", "Metrics"]

_LATENCY_S = (0.0005, 0.001, 0.002, 0.003, 0.005, 0.0075, 0.01, 0.02, 0.03, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
_DIFFERENCE = (0.0001, 0.001, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5)
_AGE_S = (60, 300, 900, 3600, 3 * 3600, 6 * 3600, 12 * 3600, 24 * 3600, 48 * 3600)
_VARIANT = ("model_variant",)


class Metrics:
    """`model_variant` is baseline, control, canary or shadow.

    Gauges of several workers become one: bytes are summed; of what is served the one that lags counts (each of epoch and
    generation by itself), of the canary's weight and of a refusal the greatest, and the store is up where all reach it.
    Readiness and disk are looked at by the worker that answers, when it does.
    """

    def __init__(self, own: SlotFile | None = None, others: Sequence[SlotFile] = ()) -> None:
        """Count in `own` (None: memory of this process alone) and show it together with `others`."""
        own = own or SlotFile()
        self._files = [own, *others]
        i, app = Instruments(own), "serving_app"
        self.requests = i.counters(f"{app}_requests", "Rows scored, by how that ended", [*_VARIANT, "outcome"])
        self.latency = i.histograms(
            f"{app}_request_latency_seconds",
            "From the request's arrival to its score",
            _VARIANT,
            bounds=_LATENCY_S,
            unit=1_000_000_000,
        )
        self.exceptions = i.counters(
            f"{app}_request_exceptions", "Batches that an arm did not score", [*_VARIANT, "kind"]
        )
        self.views = i.counters(f"{app}_feature_views", "Feature views read, by status", ["view", "status"])
        self.ages = i.histograms(
            f"{app}_feature_age_seconds", "Event time minus the view's timestamp", ["view"], bounds=_AGE_S, unit=1000
        )
        self.responses = i.counters(f"{app}_http_responses", "Responses by route and status", ["route", "status"])
        self.refused = i.gauges(
            f"{app}_arm_refused", "1: the arm named in the state is not used here", _VARIANT, combined="max"
        )
        self.differences = i.histograms(
            f"{app}_score_difference",
            "Absolute difference of two models' scores of one row: what the shadow or the canary said against the other",
            _VARIANT,
            bounds=_DIFFERENCE,
            unit=1_000_000_000,
        )
        self.flips = i.counters(
            f"{app}_decision_flips", "Rows of those compared that the two models decide differently", _VARIANT
        )
        self.fallbacks = i.counter(f"{app}_fallbacks", "Rows answered by the baseline for a failed canary")
        self.shadow_dropped = i.counter(f"{app}_shadow_dropped", "Rows the shadow had no room for")
        self.feedback = i.counter(f"{app}_feedback_rows", "Rows of ground truth taken into the log")
        self.reflex_trips = i.counter(f"{app}_reflex_trips", "Canaries stopped by this gateway")
        self.generation = i.gauge(f"{app}_rollout_generation", "Generation of the rollout state served", combined="min")
        self.epoch = i.gauge(f"{app}_rollout_epoch", "Epoch of the rollout state served", combined="min")
        self.weight = i.gauge(
            f"{app}_canary_weight", "Share of keys that the canary answers here, 0 to 1", combined="max", unit=10_000
        )
        self.store_up = i.gauge(f"{app}_rollout_store_up", "1: the rollout store answers", combined="min")
        self.ready = i.gauge(f"{app}_ready", "1: GET /ready answers 200", combined="own")
        self.spool_bytes = i.gauge(f"{app}_spool_bytes", "Log on disk that has not landed", combined="sum")
        self.spool_limit = i.gauge(f"{app}_spool_limit_bytes", "With so much of it, records are lost", combined="sum")
        self.disk_free = i.gauge(f"{app}_disk_free_bytes", "Free space of the disk that holds the log", combined="own")
        self.disk_size = i.gauge(f"{app}_disk_size_bytes", "Size of that disk", combined="own")
        self.spool_dropped = i.counter(f"{app}_spool_dropped_records", "Log records lost to a full spool")
        self.spool_damaged = i.counter(f"{app}_spool_damaged_segments", "Log segments set aside as damaged")
        self.degraded = i.counter(f"{app}_degraded_rows", "Rows answered without stored features: the store was away")
        for name in ("baseline", "control", "canary", "shadow"):
            self.requests(name, "ok")
            self.latency(name)

    def scored(self, name: str, latencies_s: Sequence[float]) -> None:
        """A batch was scored: the latency of each row, in seconds."""
        self.requests(name, "ok").inc(len(latencies_s))
        self.latency(name).observe(*latencies_s)

    def failed(self, name: str, outcome: Outcome, rows: int) -> None:
        """A batch of `rows` was not scored."""
        self.requests(name, outcome).inc(rows)
        self.exceptions(name, outcome).inc()

    def compared(self, name: str, differences: Sequence[float], flips: int) -> None:
        """Rows were scored by the arm `name` on trial and by another: how far apart, and how many decisions differ."""
        self.flips(name).inc(flips)
        self.differences(name).observe(*differences)

    def exposition(self) -> bytes:
        """The text format that Prometheus scrapes."""
        return exposition(self._files)
