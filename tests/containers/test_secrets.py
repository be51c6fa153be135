"""Secrets of the containers: drawn once, in a closed folder, mounted as files, and in no file of the checkout."""

import os
import re
import stat
import subprocess
from pathlib import Path

import pytest
import yaml

from tests.containers.compose import COMPOSE, OURS, SERVICES, interpolated
from tests.servers import ROOT

CONTAINER = ROOT / "orchestration" / "container"
DRAWN = {"postgres_password", "grafana_admin_password", "admin_token"}


def draw(folder: Path) -> dict[str, str]:
    subprocess.run(["sh", CONTAINER / "secrets.sh"], cwd=folder, check=True, umask=0o022)
    return {path.name: path.read_text().strip() for path in (folder / "secrets").iterdir()}


def test_they_are_drawn_once_and_the_folder_is_closed(tmp_path: Path) -> None:
    first = draw(tmp_path)
    assert set(first) == DRAWN | {"none"}
    assert first["none"] == ""
    assert len({first[name] for name in DRAWN}) == len(DRAWN)
    assert all(re.fullmatch(r"[\w-]{32}", first[name]) for name in DRAWN)
    assert draw(tmp_path) == first
    folder = tmp_path / "secrets"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert all(path.stat().st_mode & stat.S_IROTH for path in folder.iterdir())


def test_what_is_drawn_is_what_the_file_names_where_nothing_is_set() -> None:
    named = {name: interpolated(secret["file"], {}) for name, secret in COMPOSE["secrets"].items()}
    assert set(named.values()) == {f"./secrets/{name}" for name in (*DRAWN, "none")}
    assert all(named[name] == f"./secrets/{name}" for name in DRAWN)


def test_a_path_of_ones_own_takes_its_place_in_the_mount_and_in_the_setting() -> None:
    own = {
        "ADMIN_TOKEN_FILE": "admin_token",
        "API_KEYS_FILE": "api_keys",
        "SLACK_WEBHOOK_URL_FILE": "slack_webhook_url",
        "PAGERDUTY_ROUTING_KEY_FILE": "pagerduty_routing_key",
        "JIRA_TOKEN_FILE": "jira_token",
    }
    variables = {variable: f"/elsewhere/{name}" for variable, name in own.items()}
    settings = interpolated(COMPOSE["x-platform"]["environment"], variables)
    for variable, name in own.items():
        assert interpolated(COMPOSE["secrets"][name]["file"], variables) == f"/elsewhere/{name}"
        assert settings[variable] == f"/run/secrets/{name}"


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_mounts_secrets_that_are_declared(name: str) -> None:
    assert set(SERVICES[name].get("secrets", [])) <= set(COMPOSE["secrets"])


def test_who_opens_a_database_has_its_password_and_nobody_else() -> None:
    opens = {name for name in OURS if "with-password.sh" in " ".join(SERVICES[name].get("entrypoint", []))}
    assert opens == {"mlflow", "dagster-code", "dagster", "dagster-daemon"}
    has = {name for name in SERVICES if "postgres_password" in SERVICES[name].get("secrets", [])}
    assert has == opens | {"postgres"}


def with_password(tmp_path: Path, password: str) -> Path:
    (tmp_path / "password").write_text(f"{password}\n")
    environment = {
        **os.environ,
        "POSTGRES_PASSWORD_FILE": str(tmp_path / "password"),
        "PGPASSFILE": str(tmp_path / "pgpass"),
    }
    command = ["sh", CONTAINER / "with-password.sh", "sh", "-c", 'echo "$0 $PGPASSFILE $(umask)"', "a b"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True, umask=0o022)
    assert done.stdout == f"a b {tmp_path / 'pgpass'} 0022\n", "others read what it writes"
    return tmp_path / "pgpass"


def test_libpq_gets_the_password_in_a_file_of_its_own(tmp_path: Path) -> None:
    """A colon ends a field and a backslash protects: both are protected (PostgreSQL documentation, 34.16)."""
    file = with_password(tmp_path, r"a:b\c d'$x")
    assert file.read_text() == "*:*:*:*:a\\:b\\\\c d'$x\n"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_without_the_secret_nothing_is_started(tmp_path: Path) -> None:
    environment = {**os.environ, "POSTGRES_PASSWORD_FILE": str(tmp_path / "none"), "PGPASSFILE": str(tmp_path / "p")}
    command = ["sh", CONTAINER / "with-password.sh", "echo", "started"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "started" not in done.stdout
    assert str(tmp_path / "none") in done.stderr


def test_nothing_in_the_files_is_a_secret() -> None:
    """Whatever is called one is a path, a name of a mount, or passed on."""
    environment = {key: value for name in SERVICES for key, value in SERVICES[name].get("environment", {}).items()}
    called = {key: value for key, value in environment.items() if re.search(r"PASSW|TOKEN|SECRET|KEY", key)}
    assert {"POSTGRES_PASSWORD_FILE", "ADMIN_TOKEN_FILE", "GF_SECURITY_ADMIN_PASSWORD__FILE"} <= set(called)
    assert [key for key, value in called.items() if "/run/secrets/" not in value] == []
    text = yaml.dump(SERVICES) + (CONTAINER / "Dockerfile").read_text()
    assert not re.search(r"://\w+:[^@\s/]+@", text)


def test_a_file_of_settings_that_holds_one_is_not_kept() -> None:
    """.env.example tells people to make it."""
    assert {".env", "secrets/"} <= set((ROOT / ".gitignore").read_text().splitlines())
