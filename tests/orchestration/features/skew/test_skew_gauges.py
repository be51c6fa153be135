"""The skew verdict as Prometheus reads it."""

from datetime import UTC, date, datetime
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from orchestration.features.skew.gauges import gauges_path, skew_gauges
from orchestration.features.skew.judged import JudgedDay
from orchestration.features.skew.report import FeatureSkew, SkewReport
from orchestration.features.skew.verdict import SkewVerdict
from orchestration.gauges import write_gauges

LOOKED = datetime(2026, 3, 1, tzinfo=UTC)
REPORT = SkewReport(
    day="2013-05-01", start="2013-04-30T23:00", end="2013-05-01T23:00", logged=500, rows=400, apart={},
    features=[FeatureSkew(feature="w_visib", source="v:f", rows=400, exact=300, differing=100)],
)  # fmt: skip


def written(folder: Path, judged: JudgedDay) -> dict[tuple[str, ...], float]:
    path = gauges_path(folder)
    write_gauges(path, skew_gauges(judged, LOOKED))
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(path.read_text())
        for sample in family.samples
    }


def test_a_failed_day_says_by_how_much(tmp_path: Path) -> None:
    found = written(tmp_path, JudgedDay(date(2013, 5, 1), REPORT, SkewVerdict("fail", "differs")))
    assert found == {
        ("skew_verdict", "pass"): 0,
        ("skew_verdict", "fail"): 1,
        ("skew_verdict", "inconclusive"): 0,
        ("skew_look_timestamp_seconds",): LOOKED.timestamp(),
        ("skew_rows",): 400,
        ("skew_differing_share", "w_visib"): 0.25,
    }


def test_where_nothing_can_be_told_there_is_a_verdict_alone(tmp_path: Path) -> None:
    found = written(tmp_path, JudgedDay(None, None, SkewVerdict("inconclusive", "no prediction")))
    assert found[("skew_verdict", "inconclusive")] == 1
    assert {name for name, *_ in found} == {"skew_verdict", "skew_look_timestamp_seconds"}
