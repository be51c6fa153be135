"""`python -m orchestration.rollout.replay` over a real MLflow and a real Redis."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from orchestration.rollout import replay
from orchestration.training.onnx_model import score
from serving_gateway.contracts import ModelContract
from serving_gateway.control.store import RolloutStore
from tests.orchestration.rollout.logs import know_labels, log_answers
from tests.orchestration.rollout.registering import register_synthetic
from tests.servers import MlflowServer, free_port
from tests.synthetic import synthetic_model

pytestmark = pytest.mark.integration
FIRST = datetime(2013, 3, 1, 12, tzinfo=UTC)
WINDOW = ["--start", "2013-03-01", "--end", "2013-03-02T12:00"]
SAMPLES = synthetic_model().trained.samples
N = 400


@pytest.fixture(scope="module")
def versions(mlflow_tracking: MlflowServer) -> tuple[ModelContract, ModelContract]:
    return register_synthetic(mlflow_tracking.url), register_synthetic(mlflow_tracking.url, seed=8)


@pytest.fixture
def home(
    tmp_path: Path, versions: tuple[ModelContract, ModelContract], mlflow_tracking: MlflowServer, redis_url: str,
    monkeypatch: pytest.MonkeyPatch,
) -> Path:  # fmt: skip
    """What the first version answered lies in the log, with labels."""
    monkeypatch.setenv("PLATFORM_HOME", str(tmp_path))
    monkeypatch.setenv("REDIS_URL", redis_url)
    monkeypatch.setenv("EVENT_CLOCK", "replay")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", mlflow_tracking.url)
    store = RolloutStore.connect(redis_url)
    for contract in versions:
        store.put_contract(contract)
    store.advance_clock(FIRST + timedelta(days=3))
    vectors = SAMPLES.vectors[:N]
    ids = log_answers(tmp_path / "lake", versions[0], vectors, score(synthetic_model().onnx, vectors), first=FIRST)
    know_labels(tmp_path / "lake", ids, SAMPLES.labels[:N], first=FIRST)
    return tmp_path


def run(*arguments: str) -> int:
    return replay.main([*WINDOW, *arguments])


def test_the_served_version_gives_what_it_gave(
    home: Path, versions: tuple[ModelContract, ModelContract], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("--version", versions[0].version, "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["rows"], found["overall"]["flips"], found["left_out"]) == (N, 0, {})
    assert found["overall"]["largest"] < 1e-6
    assert (found["skew"]["rows"], found["skew"]["differing"]) == (N, 0)
    assert found["labelled"]["brier_difference"] == pytest.approx(0, abs=1e-9)


def test_another_version_is_compared_in_tables_and_rows_are_written(
    home: Path, versions: tuple[ModelContract, ModelContract], capsys: pytest.CaptureFixture[str]
) -> None:
    name = f"flight_delay_v{versions[1].version}"
    assert run("--version", versions[1].version, "--output", str(home / "out" / "rows.parquet")) == 0
    told = " ".join(capsys.readouterr().out.split())  # lines break where the terminal ends
    assert f"{name} on {N} logged predictions of 2013-03-01 00:00 to 2013-03-02 12:00 (UTC)" in told
    assert "against the labels" in told
    assert f"Serving: nothing was logged as scored by {name} itself" in told
    rows = pl.read_parquet(home / "out" / "rows.parquet")
    expected = score(synthetic_model(seed=8).onnx, SAMPLES.vectors[:N])
    np.testing.assert_allclose(rows["score"], expected, atol=1e-6)
    assert not list((home / "out").glob(".*"))


def test_a_version_against_another_and_as_csv(
    home: Path, versions: tuple[ModelContract, ModelContract], capsys: pytest.CaptureFixture[str]
) -> None:
    first, second = (contract.version for contract in versions)
    assert run("--version", first, "--against", second, "--json", "--output", str(home / "rows.csv")) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["reference"] == f"flight_delay_v{second}"
    assert found["labelled"]["rows"] == N
    assert pl.read_csv(home / "rows.csv").height == N


def test_serving_skew_is_the_exit_code(
    home: Path, versions: tuple[ModelContract, ModelContract], capsys: pytest.CaptureFixture[str]
) -> None:
    other = score(synthetic_model(seed=8).onnx, SAMPLES.vectors[:50])
    log_answers(home / "lake", versions[0], SAMPLES.vectors[:50], other, first=FIRST, prefix="wrong")
    assert run("--version", versions[0].version) == 1
    assert "Serving skew: " in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--version", "9999"], "no intact flight_delay version 9999"),
        (["--version", "1", "--model", "other"], "there is no registered model 'other'"),
        (["--version", "1", "--end", "2013-03-01"], "must be after --start"),
        (["--version", "1", "--output", "rows.txt"], "must end in .csv or .parquet"),
        (["--version", "1", "--start", "2013-02-01", "--end", "2013-02-02"], "nothing was logged"),
    ],
)
def test_what_cannot_be_compared_is_said_in_one_line(
    home: Path, arguments: list[str], complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(*arguments) == 2
    said = capsys.readouterr().err
    assert complaint in said
    assert said.startswith("replay: ")
    assert said.count("\n") == 1


@pytest.mark.parametrize("arguments", [["--version", "champion"], ["--version", "1", "--start", "soon"]])
def test_what_is_no_version_and_no_instant_is_refused_by_name(
    home: Path, arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stopped:
        run(*arguments)
    assert stopped.value.code == 2
    assert repr(arguments[-1]) in capsys.readouterr().err


def test_a_redis_that_is_away_is_named_by_its_setting(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("REDIS_URL", f"redis://127.0.0.1:{free_port()}/0")
    assert run("--version", "1") == 2
    assert "(REDIS_URL, REDIS_PORT)" in capsys.readouterr().err
