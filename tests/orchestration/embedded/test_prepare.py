"""What stands ready before the processes start: folders, and where the reports lie."""

import socket
from dataclasses import replace
from pathlib import Path

import pytest

from orchestration.embedded.environment import (
    NotReadyToStartError,
    admin_token_file,
    check_ports,
    command_environment,
    prepare,
)
from orchestration.settings import Settings
from serving_gateway.settings import Settings as GatewaySettings
from tests.servers import free_port
from triton_models.backends import Backends


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


@pytest.fixture
def no_address(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("TRITON_HTTP", "TRITON_GRPC"):
        monkeypatch.delenv(variable, raising=False)


@pytest.mark.parametrize("backends", [Backends.ONNXRUNTIME, Backends.GPU])
@pytest.mark.parametrize("address", [{}, {"TRITON_HTTP": "gpu-box:8100"}])
def test_backends_that_the_wheels_server_lacks_are_refused_where_no_other_server_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, no_address: None, backends: Backends, address: dict[str, str]
) -> None:
    for name, value in address.items():
        monkeypatch.setenv(name, value)
    settings = Settings(home=tmp_path, triton_backends=backends)

    refused = f"TRITON_BACKENDS={backends} needs a Triton of NVIDIA's image: set TRITON_HTTP and TRITON_GRPC"
    with pytest.raises(NotReadyToStartError, match=refused):
        prepare(settings)
    with pytest.raises(NotReadyToStartError, match=refused):
        check_ports(settings)


def test_where_another_server_has_the_backends_none_is_started_and_its_ports_may_be_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, no_address: None
) -> None:
    assert prepare(Settings(home=tmp_path))["TRITON_IS_HERE"] == "true"
    monkeypatch.setenv("TRITON_HTTP", "127.0.0.1:8100")
    monkeypatch.setenv("TRITON_GRPC", "127.0.0.1:8101")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        ports = {name: free_port() for name in Settings.port_defaults()}
        settings = Settings(tmp_path, **ports | {"triton_http_port": taken.getsockname()[1]})
        with pytest.raises(NotReadyToStartError, match="set TRITON_HTTP_PORT to a free port"):
            check_ports(settings)
        check_ports(replace(settings, triton_backends=Backends.GPU))
    assert prepare(replace(settings, triton_backends=Backends.GPU))["TRITON_IS_HERE"] == "false"


def test_backends_that_are_none_are_one_clear_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRITON_BACKENDS", "cuda")
    with pytest.raises(ValueError, match="TRITON_BACKENDS must be python, onnxruntime, gpu, got 'cuda'"):
        Settings.load()
