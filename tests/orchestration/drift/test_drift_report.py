"""The drift report over real Evidently."""

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from orchestration.drift.policy import SAMPLE_ROWS
from orchestration.drift.psi import psi
from orchestration.drift.report import DriftInputError, sample, write_report
from tests.orchestration.drift.samples import window

pytestmark = pytest.mark.integration


def test_a_shifted_column_is_named_and_a_calm_one_is_not(tmp_path: Path) -> None:
    report = write_report(window(1, 2000), window(2, 800, shift=1.0), tmp_path / "drift", "may")
    assert report.drifted == ["delay"]
    assert report.html.stat().st_size > 100_000
    assert json.loads(report.json.read_text())["metrics"]


def test_a_column_has_drifted_from_its_own_threshold_on_and_the_page_counts_so_too(tmp_path: Path) -> None:
    reference, current = window(1, 2000), window(2, 800, shift=1.0)
    score = psi(reference["delay"].to_numpy(), current["delay"].to_numpy())
    report = write_report(reference, current, tmp_path, "x", thresholds={"delay": score + 0.01, "distance": 0.0001})
    assert report.drifted == ["distance"]
    (counted,) = [
        m for m in json.loads(report.json.read_text())["metrics"] if "DriftedColumnsCount" in m["metric_name"]
    ]
    assert counted["value"]["count"] == 1


@pytest.mark.parametrize("distinct", [3, 1000])
def test_our_psi_is_evidentlys(tmp_path: Path, distinct: int) -> None:
    rng = np.random.default_rng(distinct)
    reference, current = (
        pl.DataFrame({"few": rng.integers(low, distinct, n).astype(np.float32), "heavy": rng.standard_t(2, n)})
        for low, n in ((0, 1500), (1, 300))
    )
    report = write_report(reference, current, tmp_path, "x")
    ours = {name: psi(reference[name].to_numpy(), current[name].to_numpy()) for name in ("few", "heavy")}
    assert report.scores == pytest.approx(ours, rel=1e-9)


def test_a_column_without_values_is_named_and_the_rest_compared(tmp_path: Path) -> None:
    current = window(2, 500).with_columns(delay=pl.Series(np.full(500, np.nan)))
    report = write_report(window(1, 500), current, tmp_path, "all-missing")
    assert report.without_values == ["delay"]
    assert set(report.scores) == {"distance"}


def test_the_newest_report_is_the_latest_and_stands_first_in_the_index(tmp_path: Path) -> None:
    write_report(window(1, 300), window(2, 300), tmp_path, "2013-05-02T0000")
    newest = write_report(
        window(1, 300), window(3, 300, shift=1.0), tmp_path, "2013-05-01T0000"
    )  # event time went back
    assert (tmp_path / "latest.html").read_bytes() == newest.html.read_bytes()
    assert (tmp_path / "latest.json").read_bytes() == newest.json.read_bytes()
    index = (tmp_path / "index.html").read_text()
    assert index.index("2013-05-01T0000.html") < index.index("2013-05-02T0000.html")
    assert "1 (50%)" in index
    assert not list(tmp_path.glob(".*"))


def test_an_empty_window_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(DriftInputError, match="current window has no rows"):
        write_report(window(1, 10), window(1, 0), tmp_path, "x")


def test_differing_columns_are_named(tmp_path: Path) -> None:
    with pytest.raises(DriftInputError, match=r"\['distance'\]"):
        write_report(window(1, 10), window(1, 10).drop("distance"), tmp_path, "x")


def test_windows_that_share_no_values_are_refused_and_leave_no_file(tmp_path: Path) -> None:
    empty = pl.DataFrame({"delay": [None, None]}, schema={"delay": pl.Float64})
    with pytest.raises(DriftInputError, match="no column has values in both"):
        write_report(window(1, 10).select("delay"), empty, tmp_path / "new", "x")
    assert not (tmp_path / "new").exists()


def test_a_large_window_is_sampled_the_same_way_every_time() -> None:
    large = window(1, SAMPLE_ROWS + 10)
    assert sample(large).height == SAMPLE_ROWS
    assert sample(large).equals(sample(large))
