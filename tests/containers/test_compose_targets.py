"""`make compose-up` and `make compose-down`, with a stand-in for Docker."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.servers import ROOT


def make(folder: Path, docker: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """What make says in an empty checkout, where `docker` is the text of a shell script."""
    (folder / "bin").mkdir()
    program = folder / "bin" / "docker"
    program.write_text(f"#!/bin/sh\n{docker}\n")
    program.chmod(0o755)
    (folder / "orchestration").symlink_to(ROOT / "orchestration")
    clean = {name: value for name, value in os.environ.items() if name not in ("GPU", "TRITON_BACKENDS")}
    environment = {**clean, "PATH": f"{folder / 'bin'}:{os.environ['PATH']}"}
    command = ["make", "-s", "-f", str(ROOT / "Makefile"), *arguments]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("target", ["compose-up", "compose-down"])
def test_without_an_engine_make_says_what_to_do_instead(target: str, tmp_path: Path) -> None:
    """Docker's client may be there; only its engine counts."""
    done = make(tmp_path, "echo 'Cannot connect to the Docker daemon' >&2; exit 1", target)
    assert done.returncode != 0
    assert "make up" in done.stderr
    assert "Cannot connect" not in done.stdout + done.stderr
    assert not (tmp_path / "secrets").exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["compose-up"], "cpu unset compose up --build --detach --wait"),
        (["compose-up", "GPU=1"], "gpu gpu compose up --build --detach --wait"),
        (["compose-up", "GPU=0"], "cpu unset compose up --build --detach --wait"),
        (["compose-down"], "unset unset compose --profile * down"),
    ],
)
def test_with_an_engine_make_starts_and_stops_the_containers(tmp_path: Path, arguments: list[str], said: str) -> None:
    docker = (
        'case "$*" in info|"compose version") ;; *) echo "${COMPOSE_PROFILES-unset} ${TRITON_BACKENDS-unset} $*";; esac'
    )
    done = make(tmp_path, docker, *arguments)
    assert (done.returncode, done.stdout, done.stderr) == (0, f"{said}\n", "")
    assert (tmp_path / "secrets" / "postgres_password").exists() == ("compose-up" in arguments)


def install(folder: Path, user: int, *there: str) -> str:
    """What `make postgres` says on a machine without Debian's folder of PostgreSQL, with the programs `there`."""
    says = {"id": f"echo {user}", "apt-get": 'echo "apt-get $*" >&2', "systemctl": "exit 1", **dict.fromkeys(there, "")}
    for name, script in says.items():
        (folder / name).write_text(f"#!/bin/sh\n{script}\n")
        (folder / name).chmod(0o755)
    for name in ("realpath", "make"):
        (folder / name).symlink_to(str(shutil.which(name)))
    command = [folder / "make", "-s", "postgres", "POSTGRES_BIN=/nowhere"]
    done = subprocess.run(command, cwd=ROOT, env={"PATH": str(folder)}, capture_output=True, text=True, check=True)
    return done.stdout + done.stderr


def test_root_has_postgresql_installed(tmp_path: Path) -> None:
    said = install(tmp_path, 0)
    assert "Installing postgresql" in said
    assert "apt-get install -qq -y --no-install-recommends postgresql" in said


def test_anybody_else_is_told_what_to_ask_for(tmp_path: Path) -> None:
    assert install(tmp_path, 1000).endswith("As root: apt-get install postgresql\n")


def test_where_postgresql_is_there_nothing_is_done(tmp_path: Path) -> None:
    assert install(tmp_path, 0, "initdb") == ""
