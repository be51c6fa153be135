"""The metrics that the platform exposes, as the code that exposes them has them."""

import ast
import inspect
import re
from collections.abc import Iterable
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from types import ModuleType

from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families

import orchestration.defs.gauges
import orchestration.platform_gauges
import orchestration.rollout.gauges
from orchestration.drift.gauges import drift_gauges
from orchestration.features.live.metrics import Metrics as UpdaterMetrics
from orchestration.gauges import Gauge
from orchestration.health.gauges import health_gauges
from serving_gateway.metrics import Metrics
from tests.orchestration.drift.test_gauges import judged
from tests.orchestration.health.test_health_report import bad_report

NOW = datetime(2026, 5, 1, tzinfo=UTC)
# Of Prometheus itself.
OWN = frozenset({"up", "ALERTS"})
# Triton's, each seen by the end-to-end test: https://github.com/triton-inference-server/server/blob/main/docs/user_guide/metrics.md
TRITON = frozenset(
    {
        "nv_inference_request_success",
        "nv_inference_request_failure",
        "nv_inference_count",
        "nv_inference_exec_count",
        "nv_inference_request_duration_us",
        "nv_inference_queue_duration_us",
        "nv_cpu_utilization",
        "nv_cpu_memory_total_bytes",
        "nv_cpu_memory_used_bytes",
    }
)
# What alert rules ask of what the sensor `export_gauges` writes; its own test holds the list against the files.
SENSOR = Path(__file__).parent / "dagster_gauges.prom.txt"


def labels_by_name(text: str) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            found.setdefault(sample.name, set()).update(sample.labels)
    return found


def in_text(exposition: str) -> set[str]:
    """Names of the series that a text in Prometheus' format can hold."""
    ends = {"counter": ("_total",), "histogram": ("_bucket", "_sum", "_count")}
    families = text_string_to_metric_families(exposition)
    return {family.name + end for family in families for end in ends.get(family.type, ("",))}


def in_source(*modules: ModuleType) -> set[str]:
    """Literals in the code of gauges that have the form of a metric's name."""
    found: set[str] = set()
    for module in modules:
        for node in ast.walk(ast.parse(inspect.getsource(module))):
            if isinstance(node, ast.Constant) and re.fullmatch(r"[a-z]+(_[a-z0-9]+)+", str(node.value)):
                found.add(str(node.value))
    return found


def names(gauges: Iterable[Gauge]) -> set[str]:
    return {gauge.name for gauge in gauges}


@cache
def exposed() -> frozenset[str]:
    """Everything that a query may read."""
    return frozenset(
        in_text(Metrics().exposition().decode())
        | in_text(generate_latest(UpdaterMetrics().registry).decode())
        | names(drift_gauges(judged(), hours=24, as_of=NOW, now=NOW))
        | names(health_gauges(bad_report()))
        | in_source(orchestration.rollout.gauges, orchestration.platform_gauges, orchestration.defs.gauges)
        | TRITON
        | OWN
    )
