"""The document of a look: written whole, read back, exposed as gauges, drawn."""

import json
from datetime import UTC, date, datetime
from functools import cache
from pathlib import Path

import pytest

from orchestration.health.gauges import health_gauges
from orchestration.health.past import Past
from orchestration.health.report import (
    HealthRecordError,
    HealthReport,
    past_file,
    read_past,
    read_report,
    read_windows,
    windows_file,
    write_document,
    write_report,
)
from orchestration.health.verdict import HealthVerdict
from tests.orchestration.health.windows import figures, looked

NOW = datetime(2013, 4, 20, 12, tzinfo=UTC)
BAD = HealthVerdict("bad", "2 bad windows running", date(2013, 4, 15))


@cache
def bad_report() -> HealthReport:
    """Made where a test asks for it: its figures import scikit-learn."""
    return looked("m_v1", BAD, NOW)


def test_a_report_is_read_back_as_it_was_written_and_is_plain_json(tmp_path: Path) -> None:
    path = write_report(tmp_path, bad_report())
    assert path == tmp_path / "health" / "m_v1.json"
    assert read_report(tmp_path) == bad_report()
    assert json.loads(path.read_text())["verdict"]["outcome"] == "bad"
    assert sorted(found.name for found in path.parent.iterdir()) == ["latest.json", "m_v1.json"], "no draft is left"


def test_windows_and_the_past_are_read_back_and_nothing_is_there_before(tmp_path: Path) -> None:
    assert (read_report(tmp_path), read_past(tmp_path), read_windows(tmp_path, "m_v1")) == (None, None, [])
    past = Past("m", "lightgbm", date(2013, 1, 1), date(2013, 4, 1), [figures(1, date(2013, 2, 4))])
    write_document(past_file(tmp_path), past)
    write_document(windows_file(tmp_path, "m_v1"), bad_report().windows)
    assert read_past(tmp_path) == past
    assert read_windows(tmp_path, "m_v1") == list(bad_report().windows)


@pytest.mark.parametrize("text", ["", "{", '{"model": 3}'])
def test_a_document_that_cannot_be_read_is_named(tmp_path: Path, text: str) -> None:
    path = past_file(tmp_path)
    path.parent.mkdir()
    path.write_text(text)
    with pytest.raises(HealthRecordError, match=f"{path} cannot be read"):
        read_past(tmp_path)


def test_gauges_say_what_the_report_says() -> None:
    gauges = {(g.name, *sorted(g.labels.values())): g.value for g in health_gauges(bad_report())}
    health = bad_report().windows[0].figures
    assert health is not None
    assert gauges["model_health_outcome", "bad", "m_v1"] == 1
    assert gauges["model_health_outcome", "good", "m_v1"] == 0
    assert gauges["model_health_log_loss", "m_v1"] == health.health.log_loss, "of the newest window with labels"
    assert gauges["model_health_surprise", "m_v1"] == health.health.surprise
    assert gauges["model_health_label_watermark_timestamp_seconds", "m_v1"] == NOW.timestamp() - 7200
    assert gauges["model_health_labels_late", "m_v1"] == 0
    assert gauges["model_health_estimate", "brier", "m_v1"] == bad_report().estimates["brier"].value
    assert gauges["model_health_estimate_coverage", "auc", "m_v1"] in {0.0, 1.0}
    assert len(gauges) == len(health_gauges(bad_report())), "no sample twice"
    assert all(g.help for g in health_gauges(bad_report()))


@pytest.mark.integration  # it imports matplotlib
def test_the_plot_is_a_small_picture() -> None:
    from orchestration.health.plot import health_plot
    from orchestration.plots import figure_markdown

    drawn = figure_markdown(health_plot(bad_report()))
    assert drawn.startswith("![plot](data:image/png;base64,")
    assert 5_000 < len(drawn) < 60_000
