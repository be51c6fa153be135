"""The command against a real MLflow and stored rows; what it cannot judge is one line and exit code 2."""

import json
import shutil
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from types import ModuleType

import pytest

from orchestration.settings import Settings
from orchestration.training.gates import Bound, Gates
from orchestration.training.pipeline import Windows, train_and_register
from orchestration.training.recipes import RecipeName
from orchestration.training.validate_metrics import main
from tests.servers import MlflowServer, free_port
from tests.synthetic import write_partitioned

FIRST, SPLIT, END = date(2013, 1, 1), date(2013, 1, 9), date(2013, 1, 11)
NAMES = Gates.__struct_fields__
LENIENT = "\n".join(f"{name} = {{min = -1e9}}" for name in NAMES)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty platform with gates that everything passes, and an MLflow where nobody listens."""
    (tmp_path / "gates.toml").write_text(LENIENT)
    monkeypatch.setenv("PLATFORM_HOME", str(tmp_path))
    monkeypatch.setenv("METRIC_GATES_PATH", str(tmp_path / "gates.toml"))
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{free_port()}")
    return tmp_path


@pytest.fixture(scope="module")
def mlflow(mlflow_tracking: MlflowServer) -> Iterator[ModuleType]:
    import mlflow

    mlflow.set_tracking_uri(mlflow_tracking.url)
    yield mlflow
    mlflow.set_tracking_uri(None)


@pytest.fixture(scope="module")
def champion(tmp_path_factory: pytest.TempPathFactory, mlflow: ModuleType) -> Path:
    """The rows of a champion that was judged on the last two of ten synthetic days."""
    mlflow.set_experiment("validate")
    training = tmp_path_factory.mktemp("training")
    write_partitioned(training, FIRST, END)
    gates = Gates(**dict.fromkeys(NAMES, Bound(min=-1e9)))
    windows = Windows(train=(FIRST, SPLIT), holdout=(SPLIT, END))
    with mlflow.start_run():
        train_and_register(mlflow, training, windows, (), alias="champion", recipe=RecipeName.network, gates=gates)
    return training


@pytest.fixture
def trained(
    home: Path, champion: Path, mlflow_tracking: MlflowServer, mlflow: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> Path:
    """A platform with the champion and a copy of its rows."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", mlflow_tracking.url)
    mlflow.set_tracking_uri(mlflow_tracking.url)
    shutil.copytree(champion, Settings.load().lake / "training")
    return home


@pytest.mark.integration
def test_the_holdout_of_the_training_run_is_judged_again(
    trained: Path, mlflow: ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--json", str(trained / "reports" / "champion.json")]) == 0

    said = capsys.readouterr().out
    document = json.loads((trained / "reports" / "champion.json").read_text())
    assert document["passed"]
    assert document["days"] == ["2013-01-09", "2013-01-11"]
    assert document["metrics"]["rows"] == 1200
    assert "2013-01-09 to 2013-01-11 (exclusive)" in said
    assert all(name in said for name in NAMES)
    logged = mlflow.get_run(document["mlflow_run_id"]).data.metrics
    assert document["metrics"]["auc"] == pytest.approx(logged["holdout_auc"])


@pytest.mark.integration
def test_other_days_and_stricter_gates_may_fail_it(trained: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (trained / "gates.toml").write_text(LENIENT.replace("auc = {min = -1e9}", "auc = {min = 0.999}"))

    assert main(["--start", "2013-01-10", "--end", "2013-01-11", "--json", str(trained / "found.json")]) == 1

    document = json.loads((trained / "found.json").read_text())
    assert document["metrics"]["rows"] == 600
    assert not document["passed"]
    assert "FAILED: auc 0." in capsys.readouterr().out
    assert document["failures"][0].endswith("(at least 0.999)")


@pytest.mark.integration
@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--start", "2013-01-08", "--end", "2013-01-11"], "was trained on requests up to 2013-01-08T"),
        (["--start", "2013-02-01", "--end", "2013-02-02"], "materialize training_rows for these days"),
        (["--alias", "challenger"], "no version carries the alias 'challenger': materialize challenger_model first"),
    ],
)
def test_what_is_missing_is_named_with_what_to_do(
    trained: Path, mlflow: ModuleType, capsys: pytest.CaptureFixture[str], arguments: list[str], complaint: str
) -> None:
    client = mlflow.MlflowClient()
    client.delete_registered_model_alias("flight_delay", "challenger")

    assert main(arguments) == 2

    assert complaint in capsys.readouterr().err


@pytest.fixture
def a_broken_contract(trained: Path, mlflow: ModuleType) -> Iterator[None]:
    client = mlflow.MlflowClient()
    found = client.get_model_version_by_alias("flight_delay", "champion")
    path = f"contract/flight_delay_v{found.version}.json"
    contract = mlflow.artifacts.load_text(f"runs:/{found.run_id}/{path}")
    client.log_text(found.run_id, '{"model": 1}', path)
    yield
    client.log_text(found.run_id, contract, path)


@pytest.mark.integration
def test_rows_that_cannot_be_read_are_one_line(trained: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = trained / "lake" / "training" / "day=2013-01-10.parquet"
    path.write_bytes(path.read_bytes()[:1000])

    assert main([]) == 2

    assert f"cannot validate: {trained}/lake/training cannot be read: " in capsys.readouterr().err


@pytest.mark.integration
@pytest.mark.usefixtures("a_broken_contract")
def test_a_contract_that_cannot_be_read_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 2

    assert "cannot validate: MLflow has no intact flight_delay version" in capsys.readouterr().err


@pytest.mark.integration
def test_an_mlflow_that_is_down_is_one_line(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 2

    said = capsys.readouterr().err
    assert "is the platform up?" in said
    assert "Traceback" not in said


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--start", "2013-04-01"], "give both --start and --end"),
        (["--start", "April", "--end", "2013-05-01"], "days must be YYYY-MM-DD"),
        (["--start", "2013-05-01", "--end", "2013-05-01"], "holds no day"),
    ],
)
def test_days_that_are_none_are_refused(
    home: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], complaint: str
) -> None:
    assert main(arguments) == 2
    assert complaint in capsys.readouterr().err


@pytest.mark.integration
def test_unreadable_gates_are_named(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (home / "gates.toml").write_text("auc = 0.7")

    assert main([]) == 2
    assert "`$.auc`" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [["--alias", "nobody"], ["--what"]])
def test_an_option_that_does_not_exist_is_exit_code_2(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2


def test_help_says_what_it_needs_and_what_the_exit_codes_mean(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--help"])
    said = " ".join(capsys.readouterr().out.split())
    for told in ("METRIC_GATES_PATH", "2: cannot tell", "Needs MLflow", "--alias champion --start"):
        assert told in said
