"""Gauges as Prometheus reads them."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from orchestration.drift.checks import CHECKS
from orchestration.drift.figures import DriftFigures, Levels, Said
from orchestration.drift.gauges import drift_gauges, gauges_path
from orchestration.drift.judged import JudgedReport
from orchestration.drift.report import DriftReport
from orchestration.drift.verdict import DriftVerdict
from orchestration.gauges import Gauge, write_gauges

NOON, LOOKED = datetime(2013, 5, 1, 12, tzinfo=UTC), datetime(2026, 3, 1, tzinfo=UTC)


def parsed(path: Path) -> dict[tuple[str, tuple[str, ...]], float]:
    return {
        (sample.name, tuple(value for _, value in sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(path.read_text())
        for sample in family.samples
    }


def judged() -> JudgedReport:
    passed = Said(outcome="pass", reason="as usual")
    figures = DriftFigures(
        name="x", reference="r", current="c", rows=900, reference_rows=1, verdict=passed, share=0.25, drifted=["a"],
        psi=Levels(value={"a": 1.5}, limit={"a": 0.5, "empty": 0.2}), nulls=Levels(value={"a": 0.1}, limit={"a": 0.2}),
        outside=Levels(value={"a": 0.0}, limit={"a": 0.05}), stale=Levels(value={"v": 0.3}, limit={"v": 0.4}),
        age_s=Levels(value={"v": 60.0}, limit={"v": 90.0}), degraded=0.01,
    )  # fmt: skip
    checks = {**dict.fromkeys(CHECKS, passed), "freshness": Said(outcome="fail", reason="old")}
    verdict = DriftVerdict("inconclusive", 0.25, "too few")
    return JudgedReport(DriftReport(Path("x.html"), Path("x.json"), figures), verdict, 900, 1, checks)


def test_what_a_report_says_is_read_back(tmp_path: Path) -> None:
    path = gauges_path(tmp_path, 24)
    write_gauges(path, drift_gauges(judged(), hours=24, as_of=NOON, now=LOOKED))
    found = parsed(path)
    assert path == tmp_path / "prometheus" / "drift-24h.prom.txt"
    assert found[("drift_rows", ("24",))] == 900
    assert found[("drift_window_end_timestamp_seconds", ("24",))] == NOON.timestamp()
    assert found[("drift_look_timestamp_seconds", ("24",))] == LOOKED.timestamp()
    assert found[("drift_share", ("24",))] == 0.25
    assert found[("drift_degraded_share", ("24",))] == 0.01
    assert found[("drift_psi", ("a", "24"))] == 1.5
    assert found[("drift_psi_limit", ("a", "24"))] == 0.5
    assert found[("drift_psi_limit", ("empty", "24"))] == 0.2
    assert found[("drift_null_share", ("a", "24"))] == 0.1
    assert found[("drift_outside_share_limit", ("a", "24"))] == 0.05
    assert found[("drift_view_stale_share", ("24", "v"))] == 0.3
    assert found[("drift_view_age_seconds_limit", ("24", "v"))] == 90
    said = {labels[0]: labels[2] for (name, labels), value in found.items() if name == "drift_verdict" and value}
    assert said == {"inputs": "inconclusive", "nulls": "pass", "ranges": "pass", "freshness": "fail"}


def test_without_a_report_the_verdicts_are_told(tmp_path: Path) -> None:
    nothing = dict.fromkeys(CHECKS, Said(outcome="inconclusive", reason="none"))
    without = JudgedReport(None, DriftVerdict("inconclusive", 0.0, "none"), 0, 8000, nothing)
    write_gauges(tmp_path / "x.prom.txt", drift_gauges(without, hours=168, as_of=NOON, now=LOOKED))
    found = parsed(tmp_path / "x.prom.txt")
    assert {name for name, _ in found} == {
        "drift_rows", "drift_window_end_timestamp_seconds", "drift_look_timestamp_seconds", "drift_verdict",
    }  # fmt: skip
    assert sum(value for (name, _), value in found.items() if name == "drift_verdict") == 4


def test_plain_tuples_do_and_odd_text_in_a_label_comes_back(tmp_path: Path) -> None:
    path = tmp_path / "new" / "health.prom.txt"
    write_gauges(path, [("model_log_loss", {"model": 'm "v1"\n\\'}, 0.43, "nats"), ("model_rows", {}, 5, "rows")])
    assert parsed(path) == {("model_log_loss", ('m "v1"\n\\',)): 0.43, ("model_rows", ()): 5}
    assert [file.name for file in path.parent.iterdir()] == ["health.prom.txt"]


@pytest.mark.parametrize(
    "gauges",
    [
        [Gauge("a", {"x": "1"}, 1, "a"), Gauge("a", {"y": "1"}, 1, "a")],
        [Gauge("a", {"x": "1"}, 1, "a"), Gauge("a", {}, 1, "a")],
        [Gauge("a", {"x": "1"}, 1, "a"), Gauge("a", {"x": "1"}, 2, "a")],
        [Gauge("a-b", {}, 1, "a")],
        [Gauge("a", {"x-y": "1"}, 1, "a")],
    ],
)
def test_what_prometheus_would_refuse_is_refused_and_leaves_the_last_file(tmp_path: Path, gauges: list[Gauge]) -> None:
    path = tmp_path / "a.prom.txt"
    write_gauges(path, [Gauge("a", {}, 1, "a")])
    with pytest.raises(ValueError, match="a"):
        write_gauges(path, gauges)
    assert parsed(path) == {("a", ()): 1}
