"""What a look at the model's health shows in Dagster."""

import pytest

from orchestration.defs.health_metadata import report_metadata
from tests.orchestration.health.test_health_report import bad_report

pytestmark = pytest.mark.integration  # it imports matplotlib


def test_windows_with_and_without_labels_stand_in_one_table() -> None:
    report = bad_report()
    assert {window.figures is None for window in report.windows} == {True, False}
    shown = report_metadata(report, "http://127.0.0.1/health.json")
    windows = [record.data for record in shown["windows"].value.records]
    assert [row["from"] for row in windows] == [str(window.verdict.first) for window in report.windows]
    assert [row["log-loss"] == "" for row in windows] == [window.figures is None for window in report.windows]
    assert len({tuple(row) for row in windows}) == 1, "Dagster refuses a table whose rows have different fields"
