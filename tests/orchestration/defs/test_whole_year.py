"""The whole of 2013 from the source tables to training rows, in one range run from the shell."""

import os
import shutil
import subprocess
from datetime import date
from pathlib import Path

import polars as pl
import pytest

from orchestration.features.training import COLUMNS, read_training
from orchestration.ingestion.partitions import read_partitions
from tests.servers import BIN, QUIET, ROOT

pytestmark = [pytest.mark.full, pytest.mark.timeout(900)]

FIRST, LAST, END = date(2013, 1, 1), date(2013, 12, 30), date(2013, 12, 31)


def test_a_year_becomes_training_rows_in_one_run(tmp_path: Path) -> None:
    (tmp_path / "dagster").mkdir()
    shutil.copyfile(ROOT / "orchestration" / "embedded" / "dagster.yaml", tmp_path / "dagster" / "dagster.yaml")
    environment = {**os.environ, **QUIET, "PLATFORM_HOME": str(tmp_path), "DAGSTER_HOME": str(tmp_path / "dagster")}
    command = [BIN / "dagster", "asset", "materialize", "-m", "orchestration.definitions"]
    command += [
        "--select",
        "raw_flights,raw_weather,feature_views,training_rows",
        "--partition-range",
        f"{FIRST}...{LAST}",
    ]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    flights = read_partitions(tmp_path / "lake" / "raw" / "flights", FIRST, END)
    rows = read_training(tmp_path / "lake" / "training", FIRST, END)
    assert rows.height == flights.height == 333_344
    assert tuple(rows.columns) == COLUMNS
    assert rows["sched_dep"].dt.date().n_unique() == 364
    assert rows.filter(pl.col("request_id").is_duplicated()).is_empty()
