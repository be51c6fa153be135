"""A start refuses what it does not know, with the file, the field and what to do, before any process runs."""

from pathlib import Path

import pytest

from orchestration.embedded.environment import NotReadyToStartError
from orchestration.embedded.stack import Stack
from orchestration.embedded.start_checks import check_versions
from orchestration.home_format import FILE, FORMAT, read_format
from orchestration.schema_revisions import known
from orchestration.settings import Settings
from tests.orchestration.backup.homes import database
from tests.servers import free_port


def test_an_empty_home_is_well_and_says_its_format_from_then_on(tmp_path: Path) -> None:
    check_versions(Settings(home=tmp_path))
    found = read_format(tmp_path)
    assert found is not None
    assert found.format == FORMAT


@pytest.mark.parametrize(
    ("variable", "shipped"),
    [
        ("ROLLOUT_POLICY_PATH", "orchestration/rollout/policy.toml"),
        ("HEALTH_POLICY_PATH", "orchestration/health/policy.toml"),
        ("METRIC_GATES_PATH", "orchestration/training/gates.toml"),
    ],
)
def test_a_policy_with_a_field_of_another_version_is_refused_by_path_and_field(
    variable: str, shipped: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "policy.toml"
    file.write_text("[of_tomorrow]\nx = 1\n\n" + Path(shipped).read_text())
    monkeypatch.setenv(variable, str(file))
    with pytest.raises(NotReadyToStartError, match=rf"{file} \({variable}\).*`of_tomorrow`"):
        check_versions(Settings(home=tmp_path / "home"))
    assert not (tmp_path / "home").exists()


def test_a_newer_home_is_refused(tmp_path: Path) -> None:
    (tmp_path / FILE).write_text(f'{{"format": {FORMAT + 1}}}')
    with pytest.raises(NotReadyToStartError, match=f"is of format {FORMAT + 1}"):
        check_versions(Settings(home=tmp_path))


def test_the_stack_asks_before_it_makes_or_starts_anything(tmp_path: Path) -> None:
    database(tmp_path / "mlflow" / "mlflow.db", "feedfacecafe")
    settings = Settings(home=tmp_path, **{name: free_port() for name in Settings.port_defaults()})
    with pytest.raises(NotReadyToStartError, match="feedfacecafe, which mlflow"), Stack(settings):
        pass
    assert {path.name for path in tmp_path.iterdir()} == {"platform.lock", "mlflow", FILE}


def test_a_database_at_its_head_is_well(tmp_path: Path) -> None:
    database(tmp_path / "mlflow" / "mlflow.db", known("mlflow")[1])
    check_versions(Settings(home=tmp_path))
