"""Figures for Prometheus: files of its text format that the reports' server hands out."""

import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from orchestration.drift.folder import write_whole

if TYPE_CHECKING:
    from prometheus_client.core import GaugeMetricFamily

FOLDER = "prometheus"
# Newer ones may be any text, but then every query has to quote them.
_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")


class Gauge(NamedTuple):
    """One sample. Gauges of one name have the same label names and the same help."""

    name: str
    labels: Mapping[str, str]
    value: float
    help: str


def write_gauges(path: Path, gauges: Iterable[tuple[str, Mapping[str, str], float, str]]) -> None:
    """Write gauges, each as in `Gauge`, to `path` in Prometheus' text format, in one step; its folder is made.

    Raises:
        ValueError: a name or a label is none of Prometheus', a sample comes twice, or labels of one name differ.
    """
    from prometheus_client import CollectorRegistry, generate_latest

    registry = CollectorRegistry()
    registry.register(_Families([Gauge(*gauge) for gauge in gauges]))  # a Collector by its form
    text = generate_latest(registry)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, lambda draft: draft.write_bytes(text))


class _Families:
    """A collector of fixed gauges."""

    def __init__(self, gauges: list[Gauge]) -> None:
        self._gauges = gauges

    def collect(self) -> "Iterator[GaugeMetricFamily]":
        """One family a name, as prometheus_client asks for them."""
        from prometheus_client.core import GaugeMetricFamily

        by_name: dict[str, list[Gauge]] = {}
        for gauge in self._gauges:
            by_name.setdefault(gauge.name, []).append(gauge)
        for name, samples in by_name.items():
            labels = list(samples[0].labels)
            if odd := [text for text in (name, *labels) if not _NAME.fullmatch(text)]:
                raise ValueError(f"gauge {name}: {odd[0]!r} is no name of Prometheus'")
            family = GaugeMetricFamily(name, samples[0].help, labels=labels)
            seen: set[tuple[str, ...]] = set()
            for sample in samples:
                values = tuple(sample.labels.get(label, "") for label in labels)
                if set(sample.labels) != set(labels) or values in seen:
                    raise ValueError(f"gauge {name}: labels differ or come twice: {dict(sample.labels)}")
                seen.add(values)
                family.add_metric(values, sample.value)
            yield family
