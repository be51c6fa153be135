"""The drift report over real Evidently."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from orchestration.drift.drawing import drawing, sample
from orchestration.drift.figures import read_figures
from orchestration.drift.policy import LEAST_PSI, SAMPLE_ROWS
from orchestration.drift.psi import psi
from orchestration.drift.report import DriftInputError, DriftReport, compare, write_report
from tests.orchestration.drift.samples import figures_of, window

pytestmark = pytest.mark.integration


def written(
    reference: pl.DataFrame, current: pl.DataFrame, folder: Path, name: str, **thresholds: float
) -> DriftReport:
    compared = compare(reference, current, thresholds)
    figures = figures_of(compared, name=name, rows=current.height)
    with drawing(current.height) as draw:
        drawn = draw(reference, current, compared.limits)
    return write_report(drawn.result(), folder, figures, front='<div id="answer">14 moved</div>')


def evidentlys(report: DriftReport, kind: str) -> list[dict[str, Any]]:
    return [m for m in json.loads(report.json.read_text())["metrics"] if m["config"]["type"].endswith(f":{kind}")]


def test_the_page_opens_on_the_answer_and_evidently_follows(tmp_path: Path) -> None:
    report = written(window(1, 2000), window(2, 800, shift=1.0), tmp_path / "drift", "may")
    assert report.figures.drifted == ["delay"]
    page = report.html.read_text()
    assert len(page) > 100_000
    assert page.split("<body>")[1].startswith('<div id="answer">14 moved</div>')
    assert len(evidentlys(report, "ValueDrift")) == 2


def test_the_figures_stand_in_the_json_beside_evidentlys(tmp_path: Path) -> None:
    report = written(window(1, 2000), window(2, 800, shift=1.0), tmp_path, "may")
    assert read_figures(report.json) == report.figures


def test_evidently_counts_by_the_same_thresholds(tmp_path: Path) -> None:
    reference, current = window(1, 2000), window(2, 800, shift=1.0)
    score = psi(reference["delay"].to_numpy(), current["delay"].to_numpy())
    report = written(reference, current, tmp_path, "x", delay=score + 0.01, distance=0.0001)
    assert report.figures.drifted == ["distance"]
    (counted,) = evidentlys(report, "DriftedColumnsCount")
    assert counted["value"]["count"] == 1


@pytest.mark.parametrize("distinct", [3, 1000])
def test_our_psi_is_evidentlys(tmp_path: Path, distinct: int) -> None:
    rng = np.random.default_rng(distinct)
    reference, current = (
        pl.DataFrame(
            {
                "few": rng.integers(low, distinct, n).astype(np.float32),
                "heavy": rng.standard_t(2, n),
                "text": rng.choice(["AA", "B6", "DL", "UA"][low:], n),
            }
        )
        for low, n in ((0, 1500), (1, 300))
    )
    report = written(reference, current, tmp_path, "x")
    theirs = {m["config"]["column"]: m["value"] for m in evidentlys(report, "ValueDrift")}
    assert report.figures.psi.value == pytest.approx(theirs, rel=1e-9)


def test_a_column_without_values_is_named_and_the_rest_compared(tmp_path: Path) -> None:
    current = window(2, 500).with_columns(delay=pl.Series(np.full(500, np.nan)))
    report = written(window(1, 500), current, tmp_path, "all-missing")
    assert report.figures.without_values == ["delay"]
    assert set(report.figures.psi.value) == {"distance"}


def test_the_newest_report_is_the_latest_and_stands_first_in_the_index(tmp_path: Path) -> None:
    written(window(1, 300), window(2, 300), tmp_path, "2013-05-02T0000")
    newest = written(window(1, 300), window(3, 300, shift=1.0), tmp_path, "2013-05-01T0000")  # event time went back
    assert (tmp_path / "latest.html").read_bytes() == newest.html.read_bytes()
    assert (tmp_path / "latest.json").read_bytes() == newest.json.read_bytes()
    index = (tmp_path / "index.html").read_text()
    assert index.index("2013-05-01T0000.html") < index.index("2013-05-02T0000.html")
    assert "1 (50%)" in index
    assert not list(tmp_path.glob(".*"))


def test_thresholds_are_the_least_where_none_is_given() -> None:
    compared = compare(window(1, 300), window(2, 300), {"delay": 3.0})
    assert compared.psi.limit == {"delay": 3.0, "distance": LEAST_PSI}


def test_an_empty_window_is_refused_by_name() -> None:
    with pytest.raises(DriftInputError, match="current window has no rows"):
        compare(window(1, 10), window(1, 0))


def test_differing_columns_are_named() -> None:
    with pytest.raises(DriftInputError, match=r"\['distance'\]"):
        compare(window(1, 10), window(1, 10).drop("distance"))


def test_windows_that_share_no_values_are_refused() -> None:
    empty = pl.DataFrame({"delay": [None, None]}, schema={"delay": pl.Float64})
    with pytest.raises(DriftInputError, match="no column has values in both"):
        compare(window(1, 10).select("delay"), empty)


def test_a_large_window_is_decided_on_all_rows_and_drawn_on_the_same_sample_every_time(tmp_path: Path) -> None:
    large = window(1, SAMPLE_ROWS + 5000)
    assert sample(large).height == SAMPLE_ROWS
    assert sample(large).equals(sample(large))
    report = written(window(3, 500), large, tmp_path, "large")
    assert report.figures.psi.value["delay"] == psi(window(3, 500)["delay"].to_numpy(), large["delay"].to_numpy())
