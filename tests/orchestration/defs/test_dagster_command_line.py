"""Dagster's own command lines on this project, as its users type them. No stack runs here."""

import os
import subprocess
from datetime import date, timedelta
from pathlib import Path

import pytest

from orchestration.ingestion.partitions import partition_path
from tests.orchestration.ingestion.sources import on, source_folder
from tests.servers import BIN, QUIET, ROOT

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]
DAY = date(2013, 1, 15)
RAW = "raw_flights,raw_weather"


def command(home: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run a program of the environment with its state under `home`."""
    (home / "dagster").mkdir(exist_ok=True)
    environment = {**os.environ, **QUIET, "PLATFORM_HOME": str(home), "DAGSTER_HOME": str(home / "dagster")}
    program, *rest = arguments
    return subprocess.run(
        [BIN / program, *rest], cwd=ROOT, env=environment | variables, capture_output=True, text=True, check=False
    )


@pytest.mark.full
def test_dg_finds_the_definitions_in_order(tmp_path: Path) -> None:
    done = command(tmp_path, "dg", "check", "defs")
    assert done.returncode == 0, done.stderr[-3000:]
    assert "All definitions loaded successfully" in done.stdout + done.stderr


def test_dg_check_names_the_setting_that_keeps_them_from_loading(tmp_path: Path) -> None:
    done = command(tmp_path, "dg", "check", "defs", CRON_LANDING="often")
    assert done.returncode == 1
    assert "CRON_LANDING must be a cron expression" in done.stdout + done.stderr


@pytest.mark.full
def test_dg_launch_materializes_and_a_failing_blocking_check_makes_it_exit_1(tmp_path: Path) -> None:
    bad = source_folder(tmp_path / "bad", DAY, DAY + timedelta(days=2), flights=on(DAY, 3, origin="XXX"))
    launch = ["dg", "launch", "--assets", RAW, "--partition", DAY.isoformat()]
    done = command(tmp_path, *launch, FLIGHTS_SOURCE=str(bad))
    assert done.returncode == 1
    assert "origin" in done.stdout + done.stderr
    stored = partition_path(tmp_path / "lake" / "raw" / "flights", DAY)
    assert not stored.exists()

    done = command(tmp_path, *launch)
    assert done.returncode == 0, done.stderr[-3000:]
    assert stored.exists()


@pytest.mark.full
def test_a_job_is_executed_from_the_shell(tmp_path: Path) -> None:
    tags = f'{{"dagster/partition": "{DAY}"}}'
    execute = ["dagster", "job", "execute", "-m", "orchestration.definitions", "-j", "ingest_and_compute"]
    done = command(tmp_path, *execute, "--tags", tags)
    assert done.returncode == 0, done.stderr[-3000:]
    assert partition_path(tmp_path / "lake" / "training", DAY).exists()
