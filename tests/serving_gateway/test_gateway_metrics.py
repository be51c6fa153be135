"""The exposition is a contract with dashboards and alerts: names, types, labels and buckets stay."""

import shutil
import subprocess
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from serving_gateway.instruments.slots import SlotFile, anonymous_file
from serving_gateway.metrics import Metrics

GOLDEN = Path(__file__).parent / "golden" / "metrics.txt"
Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


def used(metrics: Metrics) -> Metrics:
    """With something in every metric."""
    metrics.scored("baseline", [0.002] * 3)
    metrics.scored("baseline", [0.3])
    metrics.failed("canary", "timeout", 2)
    metrics.scored("shadow", [9.0])
    metrics.views("weather", "present").inc()
    metrics.views("tail", "expired").inc()
    for age_s in (60, 61.5):
        metrics.ages("weather").observe(age_s)
    metrics.ages("tail").observe(200_000)
    metrics.responses("/predict", "200").inc()
    metrics.responses("other", "404").inc()
    metrics.refused("canary").set(True)
    metrics.refused("shadow").set(False)
    metrics.fallbacks.inc(2)
    metrics.shadow_dropped.inc()
    metrics.reflex_trips.inc()
    metrics.spool_dropped.inc(5)
    metrics.spool_damaged.inc()
    return serving(metrics, epoch=2, generation=7, weight=0.1234)


def serving(metrics: Metrics, *, epoch: int, generation: int, weight: float = 0.0, up: bool = True) -> Metrics:
    metrics.epoch.set(epoch)
    metrics.generation.set(generation)
    metrics.weight.set(weight)
    metrics.store_up.set(up)
    metrics.spool_bytes.set(4711)
    metrics.spool_limit.set(2**28)
    metrics.ready.set(up)
    metrics.disk_free.set(3 * 2**40)
    metrics.disk_size.set(4 * 2**40)
    return metrics


def samples(text: str) -> Samples:
    found = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
    by_key = {(s.name, frozenset(s.labels.items())): s.value for s in found}
    assert len(by_key) == len(found)
    return by_key


def shown(metrics: Metrics) -> Samples:
    return samples(metrics.exposition().decode())


def value(metrics: Metrics, name: str, **labels: str) -> float:
    return shown(metrics)[f"serving_app_{name}", frozenset(labels.items())]


def test_the_exposition_is_the_golden_one() -> None:
    """Written by prometheus_client, before it was ours; the control arm, the comparisons and the feedback came later."""
    assert used(Metrics()).exposition().decode() == GOLDEN.read_text()


def test_the_parser_finds_types_and_help() -> None:
    families = {f.name: f for f in text_string_to_metric_families(GOLDEN.read_text())}
    assert families["serving_app_requests"].type == "counter"
    assert families["serving_app_request_latency_seconds"].type == "histogram"
    assert families["serving_app_canary_weight"].type == "gauge"
    assert all(f.documentation for f in families.values())


@pytest.mark.skipif(shutil.which("promtool") is None, reason="needs promtool (Debian: prometheus)")
def test_promtool_has_nothing_to_say() -> None:
    done = subprocess.run(["promtool", "check", "metrics"], input=GOLDEN.read_bytes(), capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, b"")


def test_every_arm_counts_from_the_start() -> None:
    for variant in ("baseline", "control", "canary", "shadow"):
        assert value(Metrics(), "requests_total", model_variant=variant, outcome="ok") == 0
        assert value(Metrics(), "request_latency_seconds_count", model_variant=variant) == 0


def test_a_batch_is_as_many_observations_as_it_has_rows() -> None:
    one, many = Metrics(), Metrics()
    for _ in range(32):
        one.scored("canary", [0.0031])
    many.scored("canary", [0.0031] * 32)
    assert shown(one) == shown(many)


def test_a_sum_that_leaves_its_range_costs_nothing() -> None:
    """A replay may be asked about the year 9999, again and again."""
    metrics = Metrics()
    for _ in range(5):
        metrics.ages("weather").observe(8e15)
    assert value(metrics, "feature_age_seconds_count", view="weather") == 5


def test_label_values_are_quoted() -> None:
    metrics = Metrics()
    name = 'a"b\\c\nd'
    metrics.views(name, "present").inc()
    assert value(metrics, "feature_views_total", view=name, status="present") == 1


def test_any_worker_shows_the_sum_and_the_gauges_of_those_that_live() -> None:
    first, second, spare = (SlotFile(anonymous_file("t")) for _ in range(3))
    a, b = Metrics(first, [second, spare]), Metrics(second, [first, spare])
    first.load = second.load = 1
    used(a)
    used(b)
    b.views("gate", "present").inc()  # known to one of them only
    assert shown(a) == shown(b)
    assert value(a, "requests_total", model_variant="baseline", outcome="ok") == 8
    assert value(a, "request_latency_seconds_sum", model_variant="shadow") == 18
    serving(a, epoch=3, generation=1, weight=0.5)
    serving(b, epoch=3, generation=2, up=False)
    gauges = ("rollout_epoch", "rollout_generation", "canary_weight", "rollout_store_up", "spool_bytes")
    assert [value(b, name) for name in gauges] == [3, 1, 0.5, 0, 2 * 4711]
    first.load = 0  # killed: the parent says so
    assert [value(b, name) for name in gauges] == [3, 2, 0, 0, 4711]
    assert value(b, "requests_total", model_variant="baseline", outcome="ok") == 8


def test_whether_it_is_ready_is_for_the_worker_to_say_that_answers() -> None:
    """Another one's word may be from an hour ago."""
    first, second = (SlotFile(anonymous_file("t")) for _ in range(2))
    a, b = Metrics(first, [second]), Metrics(second, [first])
    first.load = second.load = 1
    a.ready.set(True)
    assert (value(a, "ready"), value(b, "ready")) == (1, 0)
    assert value(serving(b, epoch=1, generation=1), "spool_limit_bytes") == 2**28


def test_a_successor_goes_on_counting_and_forgets_its_predecessors_gauges() -> None:
    file = anonymous_file("t")
    before = shown(used(Metrics(SlotFile(file))))
    successor = Metrics(SlotFile(file))
    fell = {name.removeprefix("serving_app_") for (name, of), now in shown(successor).items() if now < before[name, of]}
    assert fell == {
        "arm_refused", "canary_weight", "rollout_epoch", "rollout_generation", "rollout_store_up", "spool_bytes",
        "ready", "spool_limit_bytes", "disk_free_bytes", "disk_size_bytes",
    }  # fmt: skip
    used(successor)
    assert value(successor, "requests_total", model_variant="baseline", outcome="ok") == 8


def test_who_does_not_accept_yet_pulls_no_gauge_down() -> None:
    serves, starts = SlotFile(), SlotFile()
    Metrics(starts)
    watching = serving(Metrics(serves, [starts]), epoch=2, generation=7)
    assert value(watching, "rollout_generation") == 7
    starts.load = 1
    assert value(watching, "rollout_generation") == 0
