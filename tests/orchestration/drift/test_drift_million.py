"""A report over a day of a million predictions: every row counts."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from orchestration.drift.policy import SAMPLE_ROWS
from orchestration.drift.psi import psi
from orchestration.drift.windows import inputs_of, logged_rows, training_window
from orchestration.settings import Settings
from serving_gateway.control.store import RolloutStore
from tests.bench.drift import DAY, NOW, contract, reported, write_lake


def held_against_the_rows(home: Path, store: RolloutStore, rows: int) -> None:
    settings = Settings(home=home)
    write_lake(settings.lake, rows)

    judged = reported(settings, store)

    assert judged.report is not None
    assert judged.rows == rows > SAMPLE_ROWS
    figures = judged.report.figures
    same = logged_rows(settings.lake, contract(), NOW - DAY, NOW, same_inputs=lambda _: True)
    current, reference = inputs_of(same, contract()), training_window(settings.lake, contract())
    for name in ("s_distance", "r_tail_last_arr_delay", "s_carrier"):
        known = [frame[name].drop_nulls().to_numpy() for frame in (reference, current)]
        assert figures.psi.value[name] == psi(*known)
        assert figures.nulls.value[name] == pytest.approx(current[name].null_count() / rows)
    views = same["views"].explode().struct.unnest()
    missing = views.filter(pl.col("view") == "origin_board")["status"].eq("missing").mean()
    assert figures.stale.value["origin_board"] == pytest.approx(missing)
    assert figures.checks["freshness"].outcome == "pass"
    assert judged.report.html.stat().st_size < 8_000_000, "the page does not grow with the rows"
    assert np.isfinite(list(figures.psi.value.values())).all()


@pytest.mark.full
def test_a_day_above_the_sample_is_decided_on_every_row(tmp_path: Path, redis_url: str) -> None:
    held_against_the_rows(tmp_path, RolloutStore.connect(redis_url), 30_000)


@pytest.mark.full
@pytest.mark.timeout(600)
def test_a_day_of_a_million_is_too(tmp_path: Path, redis_url: str) -> None:
    held_against_the_rows(tmp_path, RolloutStore.connect(redis_url), 1_000_000)
