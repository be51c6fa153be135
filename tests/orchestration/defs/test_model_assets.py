"""The model assets as Dagster runs them: configuration, gates, links both ways, what is shown."""

from collections.abc import Iterator
from datetime import date
from pathlib import Path
from types import ModuleType

import dagster as dg
import pytest

from orchestration.definitions import defs as load
from orchestration.defs.models import ChallengerConfig, ChampionConfig, _windows
from orchestration.features.layout import write_layouts
from orchestration.settings import ROOT, Settings
from orchestration.training.gates import Gates
from orchestration.training.recipes import RecipeName
from orchestration.training.registry import version_of
from tests.servers import MlflowServer
from tests.synthetic import write_partitioned

DAYS = {
    "train_start": "2013-01-01", "train_end": "2013-01-09", "holdout_start": "2013-01-09", "holdout_end": "2013-01-11",
}  # fmt: skip


def write_gates(path: Path, least: float) -> None:
    path.write_text("\n".join(f"{name} = {{min = {least}}}" for name in Gates.__struct_fields__))


@pytest.fixture(scope="module")
def mlflow(mlflow_tracking: MlflowServer) -> Iterator[ModuleType]:
    import mlflow

    mlflow.set_tracking_uri(mlflow_tracking.url)
    yield mlflow
    mlflow.set_tracking_uri(None)


@pytest.fixture
def home(tmp_path: Path, mlflow: ModuleType, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A lake of synthetic training rows, an exported layout, a real MLflow, gates that everything passes."""
    monkeypatch.setenv("PLATFORM_HOME", str(tmp_path))
    monkeypatch.setenv("METRIC_GATES_PATH", str(tmp_path / "gates.toml"))
    monkeypatch.setenv("MLFLOW_TRACKING_URI", mlflow.get_tracking_uri())
    settings = Settings.load()
    write_partitioned(settings.lake / "training", date(2013, 1, 1), date(2013, 1, 11))
    write_layouts(settings.feature_layout, ())
    write_gates(settings.metric_gates, -1e9)
    return tmp_path


def train(**config: str) -> dg.ExecuteInProcessResult:
    job = load().resolve_job_def("train_champion")
    return job.execute_in_process(
        instance=dg.DagsterInstance.ephemeral(),
        asset_selection=[dg.AssetKey("champion_model"), dg.AssetKey("champion_on_triton")],
        run_config={"ops": {"champion_model": {"config": {**DAYS, **config}}}},
        raise_on_error=False,
    )


@pytest.mark.integration
def test_a_model_that_fails_its_gates_stops_before_triton_and_keeps_the_alias_where_it_was(
    home: Path, mlflow: ModuleType
) -> None:
    before = version_of(mlflow, "champion")
    write_gates(home / "gates.toml", 1e9)

    done = train()

    assert not done.success
    (check,) = done.get_asset_check_evaluations()
    assert (check.check_name, check.passed, check.blocking) == ("holdout_gates", False, True)
    assert "auc 0." in str(check.metadata["reason"].value)
    judged = check.metadata["gates"].value
    assert [row.data["metric"] for row in judged.records] == list(Gates.__struct_fields__)
    (made,) = done.get_asset_materialization_events()
    assert made.asset_key == dg.AssetKey("champion_model")
    version = mlflow.MlflowClient().get_model_version("flight_delay", metadata(made)["version"])
    assert version.tags["gates"] == "failed"
    assert version_of(mlflow, "champion") == before
    started = {event.step_key for event in done.all_events if event.event_type_value == "STEP_START"}
    assert started == {"champion_model"}


def metadata(made: dg.DagsterEvent) -> dict[str, object]:
    return {label: value.value for label, value in made.step_materialization_data.materialization.metadata.items()}


@pytest.mark.integration
def test_dagster_and_mlflow_lead_to_each_other_and_show_the_same_plots(home: Path, mlflow: ModuleType) -> None:
    done = train(recipe="network")

    made = metadata(done.get_asset_materialization_events()[0])
    assert made["recipe"] == "network"
    assert made["alias"] == "champion"
    assert 0.5 < made["holdout AUC"] < 1
    for plot in ("calibration curve", "score histogram", "feature importance"):
        assert made[plot].startswith("![plot](data:image/png;base64,")
    run_id = made["MLflow run"].rpartition("/")[2]
    found = mlflow.get_run(run_id)
    address = f"{Settings.load().dagster_url}/runs/{done.run_id}"
    assert found.info.status == "FINISHED"
    assert found.data.tags["dagster_run_id"] == done.run_id
    assert found.data.tags["mlflow.note.content"] == f"Dagster run: <{address}>"
    if (ROOT / ".git").exists():
        assert len(found.data.tags["mlflow.source.git.commit"]) == 40
    assert address in mlflow.MlflowClient().get_model_version("flight_delay", made["version"]).description


@pytest.mark.integration
@pytest.mark.parametrize(
    ("config", "complaint"),
    [
        ({"train_end": "January"}, "dates must be YYYY-MM-DD"),
        ({"holdout_start": "2013-01-05"}, "before the training window ends on 2013-01-09"),
    ],
)
def test_days_that_cannot_be_are_named_and_nothing_is_registered(
    home: Path, mlflow: ModuleType, config: dict[str, str], complaint: str
) -> None:
    before = len(mlflow.MlflowClient().search_model_versions("name='flight_delay'"))

    done = train(**config)

    failed = done.failure_data_for_node("champion_model")
    assert complaint in failed.error.message + str(failed.error.cause)
    assert len(mlflow.MlflowClient().search_model_versions("name='flight_delay'")) == before
    (run,) = mlflow.MlflowClient().search_runs(
        [mlflow.get_experiment_by_name("flight_delay").experiment_id],
        filter_string=f"tags.dagster_run_id = '{done.run_id}'",
    )
    assert run.info.status == "FAILED"


def test_every_field_of_the_launchpad_is_explained() -> None:
    for config in (ChampionConfig, ChallengerConfig):
        for name, field in config.model_fields.items():
            assert field.description, name


def test_the_champion_is_trees_and_the_challenger_a_network_unless_it_is_said_otherwise() -> None:
    assert ChampionConfig().recipe is RecipeName.lightgbm
    assert ChallengerConfig().recipe is RecipeName.network


def test_windows_that_overlap_are_refused_without_a_retry() -> None:
    with pytest.raises(dg.Failure, match="before the training window ends") as refused:
        _windows(ChampionConfig(train_end="2013-04-02"))
    assert refused.value.allow_retries is False
