"""Figures of a report: kept in its JSON, found again by later reports."""

import json
from pathlib import Path

import pytest

from orchestration.drift.figures import DriftFigures, Levels, earlier, read_figures, since, with_figures
from orchestration.drift.report import Comparison
from tests.orchestration.drift.samples import figures_of


def day(n: int, *drifted: str, hours: float = 24.0) -> DriftFigures:
    psi = {name: 0.5 if name in drifted else 0.1 for name in ("a", "b")}
    compared = Comparison(Levels(value=psi, limit=dict.fromkeys(psi, 0.2)), [])
    figures = figures_of(compared, name=f"2013-05-{n:02}", end=f"2013-05-{n:02}T23:00:00+00:00")
    return DriftFigures(**{name: getattr(figures, name) for name in figures.__struct_fields__} | {"hours": hours})


def kept(folder: Path, *reports: DriftFigures) -> None:
    for report in reports:
        (folder / f"{report.name}-{report.hours:g}.json").write_bytes(with_figures(b'{"metrics": []}', report))
        (folder / f"{report.name}-{report.hours:g}.html").touch()


def test_levels_are_ordered_by_how_far_they_are_above_their_limit() -> None:
    levels = Levels(value={"a": 1.0, "b": 3.0, "c": 9.0, "new": 99.0}, limit={"a": 0.1, "b": 1.0, "c": 10.0})
    assert levels.worst_first == ["a", "b", "c", "new"]


def test_earlier_reports_are_those_of_the_same_length_that_ended_before_the_last_first(tmp_path: Path) -> None:
    kept(tmp_path, day(3), day(1), day(2), day(2, hours=168.0), day(4), day(5))
    found = earlier(tmp_path, before=day(4).end, hours=24.0)
    assert [figures.name for figures in found] == ["2013-05-03", "2013-05-02", "2013-05-01"]
    assert earlier(tmp_path / "none", before=day(4).end, hours=24.0) == []


def test_a_report_without_figures_and_one_on_files_are_passed_over(tmp_path: Path) -> None:
    kept(tmp_path, figures_of(Comparison(Levels(value={"a": 1.0}, limit={"a": 0.2}), [])))
    (tmp_path / "old.json").write_text('{"metrics": []}')
    (tmp_path / "old.html").touch()
    assert read_figures(tmp_path / "old.json") is None
    assert earlier(tmp_path, before="9999", hours=0.0) == []


@pytest.mark.parametrize("text", ["", "[]", '{"figures": {"name": 5}}'])
def test_what_is_no_report_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "x.json").write_text(text)
    with pytest.raises(ValueError, match=r"x\.json is no drift report"):
        read_figures(tmp_path / "x.json")


def test_figures_come_back_as_they_were_kept(tmp_path: Path) -> None:
    kept(tmp_path, day(1, "a"))
    assert read_figures(tmp_path / "2013-05-01-24.json") == day(1, "a")
    assert json.loads((tmp_path / "2013-05-01-24.json").read_text())["metrics"] == []


def test_drift_is_since_the_first_of_the_unbroken_row_of_reports() -> None:
    past = [day(4, "a"), day(3, "a", "b"), day(2), day(1, "a")]
    assert since(day(5, "a", "b"), past) == {"a": day(3).end, "b": day(5).end}
    assert since(day(5), past) == {}
    assert since(day(5, "a"), []) == {"a": day(5).end}
