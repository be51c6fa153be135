"""What the service `setup` leaves in the containers' volumes, and what it refuses."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from orchestration.container.__main__ import main
from tests.servers import ROOT

AMTOOL = shutil.which("amtool")
VARIABLES = ("SLACK_WEBHOOK_URL", "SLACK_WEBHOOK_URL_FILE", "PAGERDUTY_ROUTING_KEY_FILE", "PAGERDUTY_URL")


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PLATFORM_HOME", str(tmp_path / "state"))
    return tmp_path / "state"


@pytest.fixture
def secrets(tmp_path: Path) -> Path:
    folder = tmp_path / "secrets"
    folder.mkdir()
    for name in ("slack_webhook_url", "pagerduty_routing_key"):
        (folder / name).write_text("a secret\n")
        (folder / name).chmod(0o444)
    return folder


def set_both(secrets: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLACK_WEBHOOK_URL_FILE", str(secrets / "slack_webhook_url"))
    monkeypatch.setenv("PAGERDUTY_ROUTING_KEY_FILE", str(secrets / "pagerduty_routing_key"))


def test_dagster_is_configured_as_without_docker_but_for_its_storage(home: Path, secrets: Path) -> None:
    assert main([str(secrets)]) == 0
    here = yaml.safe_load((home / "dagster" / "dagster.yaml").read_text())
    assert here.pop("storage") == {"postgres": {"postgres_url": {"env": "DAGSTER_POSTGRES_URL"}}}
    assert here == yaml.safe_load((ROOT / "orchestration" / "embedded" / "dagster.yaml").read_text())


def test_who_has_no_secret_is_left_out(home: Path, secrets: Path) -> None:
    assert main([str(secrets)]) == 0
    told = yaml.safe_load((home / "alertmanager" / "alertmanager.yml").read_text())
    kinds = {kind for receiver in told["receivers"] for kind in receiver if kind.endswith("_configs")}
    assert kinds == {"webhook_configs"}
    assert "slack_api_url_file" not in told["global"]


def test_with_both_secrets_it_is_what_is_shipped(home: Path, secrets: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    set_both(secrets, monkeypatch)
    assert main([str(secrets)]) == 0
    text = (home / "alertmanager" / "alertmanager.yml").read_text()
    assert "a secret" not in text
    shipped = (ROOT / "observability" / "alertmanager" / "alertmanager.yml").read_text()
    assert yaml.safe_load(text.replace(str(secrets), "/run/secrets")) == yaml.safe_load(shipped)


@pytest.mark.skipif(AMTOOL is None, reason="no amtool: as root, apt-get install prometheus-alertmanager")
@pytest.mark.parametrize("told", [False, True])
def test_amtool_takes_it_with_its_templates(
    home: Path, secrets: Path, monkeypatch: pytest.MonkeyPatch, *, told: bool
) -> None:
    if told:
        set_both(secrets, monkeypatch)
    assert main([str(secrets)]) == 0
    command = [AMTOOL, "check-config", home / "alertmanager" / "alertmanager.yml"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert re.search(r"1 templates", done.stdout)


def test_a_second_start_brings_what_is_shipped_now(home: Path, secrets: Path) -> None:
    assert main([str(secrets)]) == 0
    (home / "dagster" / "dagster.yaml").write_text("old: true\n")
    (home / "triton" / "repository" / "a_model").mkdir()
    assert main([str(secrets)]) == 0
    assert "old" not in (home / "dagster" / "dagster.yaml").read_text()
    assert (home / "triton" / "repository" / "a_model").is_dir()


def test_a_secret_that_the_others_cannot_read_is_named_with_the_cure(
    secrets: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (secrets / "slack_webhook_url").chmod(0o400)
    assert main([str(secrets)]) == 1
    assert re.search(r"^setup: the file of slack_webhook_url must be readable .*chmod a\+r", capsys.readouterr().err)


def test_a_secret_whose_path_is_not_there_is_named(secrets: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """An engine makes a folder where a bind mount finds nothing."""
    (secrets / "jira_token").mkdir()
    assert main([str(secrets)]) == 1
    assert "jira_token is not a file" in capsys.readouterr().err


def test_a_setting_that_names_no_secret_is_an_error(
    secrets: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PAGERDUTY_ROUTING_KEY_FILE", str(secrets / "missing"))
    assert main([str(secrets)]) == 1
    assert "PAGERDUTY_ROUTING_KEY_FILE must be a file that can be read" in capsys.readouterr().err


def test_a_folder_of_secrets_that_is_not_there_is_an_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(tmp_path / "none")]) == 1
    assert str(tmp_path / "none") in capsys.readouterr().err


def test_a_bad_setting_is_named(
    secrets: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("REDIS_PORT", "web")
    assert main([str(secrets)]) == 2
    assert "REDIS_PORT must be a port number" in capsys.readouterr().err
