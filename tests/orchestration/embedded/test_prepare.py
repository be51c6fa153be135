"""What stands ready before the processes start: folders, and where the reports lie."""

from pathlib import Path

import pytest

from orchestration.embedded.environment import (
    NotReadyToStartError,
    admin_token_file,
    command_environment,
    prepare,
)
from orchestration.settings import Settings
from serving_gateway.settings import Settings as GatewaySettings


def test_reports_lie_in_the_home_unless_a_setting_says_where(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home, elsewhere = tmp_path / "home", tmp_path / "my reports"
    monkeypatch.delenv("REPORTS_PATH", raising=False)
    assert prepare(Settings(home=home))["REPORTS_PATH"] == str(home / "reports")
    assert (home / "reports" / "drift").is_dir()
    monkeypatch.setenv("REPORTS_PATH", str(elsewhere))
    assert prepare(Settings(home=home))["REPORTS_PATH"] == str(elsewhere)
    assert (elsewhere / "drift").is_dir()


@pytest.mark.parametrize("name", ["100%", 'a "folder"', "what?"])
def test_a_reports_folder_that_the_configuration_cannot_carry_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv("REPORTS_PATH", str(tmp_path / name))
    with pytest.raises(NotReadyToStartError, match="REPORTS_PATH must not contain"):
        prepare(Settings(home=tmp_path))


def test_a_reports_folder_that_cannot_be_made_is_one_clear_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("REPORTS_PATH", str(tmp_path / "file" / "reports"))
    with pytest.raises(NotReadyToStartError, match="REPORTS_PATH cannot be used"):
        prepare(Settings(home=tmp_path / "home"))


def test_feasts_registry_lies_in_the_home_unless_a_setting_says_where(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("FEAST_REGISTRY", raising=False)
    settings = Settings(home=tmp_path)
    assert prepare(settings)["FEAST_REGISTRY"] == f"sqlite:///{tmp_path}/feast/registry.sqlite?timeout=60"
    assert (tmp_path / "feast").is_dir()
    monkeypatch.setenv("FEAST_REGISTRY", "postgresql+psycopg://database/feast")
    assert prepare(settings)["FEAST_REGISTRY"] == settings.feast_registry == "postgresql+psycopg://database/feast"


def test_the_admin_token_is_drawn_once_and_for_this_user_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("ADMIN_TOKEN", "ADMIN_TOKEN_FILE"):
        monkeypatch.delenv(variable, raising=False)
    one, two = (Path(prepare(Settings(home=tmp_path / name))["ADMIN_TOKEN_FILE"]) for name in ("one", "two"))
    assert one == admin_token_file(Settings(home=tmp_path / "one"))
    assert one.stat().st_mode & 0o777 == 0o600
    drawn = one.read_text()
    assert len(drawn.strip()) >= 32
    assert drawn != two.read_text()
    prepare(Settings(home=tmp_path / "one"))
    assert one.read_text() == drawn
    assert GatewaySettings.load({"ADMIN_TOKEN_FILE": str(one)}).admin_tokens == (("", drawn.strip()),)


@pytest.mark.parametrize("variable", ["ADMIN_TOKEN", "ADMIN_TOKEN_FILE"])
def test_an_admin_token_that_is_set_is_left_alone(
    variable: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, "mine")
    assert prepare(Settings(home=tmp_path))[variable] == "mine"
    assert not admin_token_file(Settings(home=tmp_path)).exists()


def test_a_command_sees_the_homes_and_ports_of_its_platform_and_no_telemetry(tmp_path: Path) -> None:
    environment = command_environment(Settings(home=tmp_path, redis_port=1234))
    wanted = {"PLATFORM_HOME": str(tmp_path), "DAGSTER_HOME": f"{tmp_path}/dagster", "REDIS_PORT": "1234"}
    assert wanted.items() <= environment.items()
    assert environment["DO_NOT_TRACK"] == "true"
