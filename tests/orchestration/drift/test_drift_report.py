"""The drift report over real Evidently."""

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from orchestration.drift.report import SAMPLE_ROWS, DriftInputError, write_report


def window(seed: int, rows: int, shift: float = 0.0) -> pl.DataFrame:
    rng = np.random.default_rng(seed)
    return pl.DataFrame({"delay": rng.normal(shift, 1, rows), "distance": rng.normal(0, 1, rows)})


def test_a_shifted_column_is_named_and_a_calm_one_is_not(tmp_path: Path) -> None:
    report = write_report(window(1, 2000), window(2, 800, shift=1.0), tmp_path / "drift", "may")
    assert report.drifted == ["delay"]
    assert report.html.stat().st_size > 100_000
    assert json.loads(report.json.read_text())["metrics"]


def test_a_column_without_values_is_named_and_the_rest_compared(tmp_path: Path) -> None:
    current = window(2, 500).with_columns(delay=pl.Series(np.full(500, np.nan)))
    report = write_report(window(1, 500), current, tmp_path, "all-missing")
    assert report.without_values == ["delay"]
    assert set(report.scores) == {"distance"}


def test_an_empty_window_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(DriftInputError, match="current window has no rows"):
        write_report(window(1, 10), window(1, 0), tmp_path, "x")


def test_differing_columns_are_named(tmp_path: Path) -> None:
    with pytest.raises(DriftInputError, match=r"\['distance'\]"):
        write_report(window(1, 10), window(1, 10).drop("distance"), tmp_path, "x")


def test_a_large_window_is_sampled_the_same_way_every_time() -> None:
    from orchestration.drift.report import _sample

    large = window(1, SAMPLE_ROWS + 10)
    assert _sample(large, 0).height == SAMPLE_ROWS
    assert _sample(large, 0).equals(_sample(large, 0))
