"""The sample files are what the real data give."""

from datetime import timedelta
from pathlib import Path

import polars as pl
import pytest

from orchestration.drift import sample
from orchestration.drift.sample import CALM, COLUMNS, ROWS, STORM, Week
from orchestration.features.compute import write_features
from orchestration.features.training import write_training
from orchestration.settings import SAMPLES
from tests.orchestration.features.lakes import raw_lake

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Training rows of the two weeks alone, from the source tables."""
    folder = tmp_path_factory.mktemp("lake")
    for week in (CALM, STORM):
        first = week.first - timedelta(days=1)  # features of the day before are read by the first hours
        raw_lake(folder, first - timedelta(days=7), week.end)  # decayed means look back some days
        write_features(folder, first, week.end)
        write_training(folder, week.first, week.end)
    return folder


@pytest.mark.parametrize("week", [CALM, STORM], ids=["calm", "storm"])
def test_a_sample_is_cut_from_its_week(lake: Path, tmp_path: Path, week: Week) -> None:
    made, kept = tmp_path / week.name, SAMPLES / week.name
    sample.cut(lake / "training", week).write_csv(made)
    assert made.read_bytes() == kept.read_bytes()


@pytest.mark.parametrize("week", [CALM, STORM], ids=["calm", "storm"])
def test_a_sample_is_small_and_whole(week: Week) -> None:
    path = SAMPLES / week.name
    found = pl.read_csv(path, try_parse_dates=True)
    assert path.stat().st_size < 400_000
    assert (found.height, tuple(found.columns)) == (ROWS, COLUMNS)
    days = found["event_timestamp"].dt.offset_by("1h").dt.date()
    assert (days.min(), days.max()) == (week.first, week.end - timedelta(days=1))


def test_the_calm_week_was_calm_and_the_storm_was_not(lake: Path) -> None:
    late = [pl.read_csv(SAMPLES / week.name)["label"].mean() for week in (CALM, STORM)]
    assert late[0] < 0.18
    assert late[1] > 0.42


def test_the_command_writes_both_and_names_days_that_are_missing(
    lake: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["sample", "--lake", str(lake), "--output", str(tmp_path)]
    monkeypatch.setattr("sys.argv", arguments)
    assert sample.main() == 0
    assert {path.name for path in tmp_path.iterdir()} == {CALM.name, STORM.name}
    monkeypatch.setattr("sys.argv", ["sample", "--lake", str(tmp_path), "--output", str(tmp_path / "new")])
    assert sample.main() == 2
    assert "2013-04-29" in capsys.readouterr().err
    assert not (tmp_path / "new").exists()


def test_a_week_with_fewer_rows_is_kept_whole(lake: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sample, "ROWS", 1_000_000)
    assert sample.cut(lake / "training", CALM).height > ROWS


def test_a_setting_that_cannot_be_read_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["sample"])
    monkeypatch.setenv("REDIS_PORT", "abc")
    assert sample.main() == 2
    assert "REDIS_PORT" in capsys.readouterr().err
