"""docker-compose.yml, as far as it can be checked without a Docker engine: names, ports, commands that exist."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from orchestration.settings import Settings
from serving_gateway.settings import Settings as GatewaySettings
from tests.docs.test_tables import resolved, variables
from tests.servers import BIN, ROOT

COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES: dict[str, Any] = COMPOSE["services"]
DOCKERFILE = Path("orchestration") / "container" / "Dockerfile"
IMAGE = (ROOT / DOCKERFILE).read_text()
# Ports of the embedded profile that containers keep to themselves.
INSIDE = {"code_server_port"}
# Those of processes that no container runs yet.
ABSENT = {"prometheus_port", "alertmanager_port"}
# Folders and files of the machine outside, what `make serve` alone reads, and what Alertmanager has as secrets of its own.
OUTSIDE = {
    "PAGERDUTY_ROUTING_KEY_FILE",
    "PAGERDUTY_URL",
    "FLIGHTS_SOURCE",
    "REPORTS_PATH",
    "DRIFT_REFERENCE_PATH",
    "DRIFT_CURRENT_PATH",
    "CANARY_SPLIT",
}


def commands() -> list[tuple[str, str]]:
    """(service, command) of every process and health check, the shell's `a && exec b` taken apart."""
    found = []
    for name, service in SERVICES.items():
        for text in (service["command"], service["healthcheck"]["test"]):
            words = shlex.split(text)
            parts = re.split(r" && (?:exec )?", words[2]) if words[:2] == ["sh", "-c"] else [text]
            found += [(name, part) for part in parts]
    return found


def published() -> Iterator[tuple[str, str, str]]:
    for service in SERVICES.values():
        for port in service.get("ports", []):
            address, outside, inside = port.split(":")
            yield address, outside, inside


def test_no_key_stands_twice() -> None:
    """Compose refuses such a file; Python's reader takes the last one."""
    nodes: list[yaml.Node] = [yaml.compose((ROOT / "docker-compose.yml").read_text())]
    for node in nodes:
        if isinstance(node, yaml.MappingNode):
            keys = [key.value for key, _ in node.value]
            assert len(keys) == len(set(keys)), keys
            nodes += [value for _, value in node.value]
    assert len(nodes) > 100


def test_the_services_are_the_embedded_profiles_processes() -> None:
    embedded = set(re.findall(r"^\[program:([\w-]+)\]", (ROOT / "supervisord.conf").read_text(), re.MULTILINE))
    here = {"gateway": "serving", "code-server": "dagster-code", "webserver": "dagster", "daemon": "dagster-daemon"}
    assert {here.get(program, program) for program in embedded} == set(SERVICES)


def test_every_port_is_published_on_loopback_as_it_is_without_docker() -> None:
    ports = list(published())
    assert {address for address, _, _ in ports} == {"127.0.0.1"}
    assert all(outside == inside for _, outside, inside in ports)
    wanted = {port for name, port in Settings.port_defaults().items() if name not in INSIDE | ABSENT}
    assert {int(outside) for _, outside, _ in ports} == wanted


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_is_of_the_one_image_and_says_when_it_is_well(name: str) -> None:
    service = SERVICES[name]
    assert (service["image"], service["build"]) == ("drift-platform", {"context": ".", "dockerfile": str(DOCKERFILE)})
    assert (ROOT / DOCKERFILE).exists()
    assert service["healthcheck"]["test"]
    assert set(service.get("depends_on", {})) <= set(SERVICES)
    assert service["volumes"] == ["state:/state"]


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_finds_its_neighbours_by_names_that_are_there(name: str) -> None:
    environment = SERVICES[name]["environment"]
    hosts = {re.sub(r"^\w+://", "", v).split(":")[0] for k, v in environment.items() if re.search(r":\d+", str(v))}
    in_a_link = {"127.0.0.1"} if name == "serving" else set()  # what the page links to is opened outside
    assert hosts - in_a_link <= set(SERVICES)
    assert {"REDIS_URL", "TRITON_HTTP", "TRITON_GRPC", "MLFLOW_TRACKING_URI", "GATEWAY_URL"} <= set(environment)
    assert environment["PLATFORM_HOME"] == "/state"


@pytest.mark.parametrize(("service", "command"), commands(), ids=lambda value: value[:40])
def test_a_command_exists(service: str, command: str) -> None:
    program, *arguments = shlex.split(command)
    if program == "curl":
        assert "curl" in IMAGE
        assert f":{SERVICES[service]['ports'][0].split(':')[1]}/" in command
        return
    assert (BIN / program).exists(), f"{program} is not in the environment that the image has"
    if arguments[:1] == ["-m"]:
        from importlib.util import find_spec

        assert find_spec(arguments[1]) is not None


@pytest.mark.integration
def test_options_that_the_embedded_profile_does_not_use_are_known() -> None:
    """The others are proven by every start of the platform."""
    proven = (ROOT / "supervisord.conf").read_text()
    new = {
        command: {o for o in shlex.split(command) if o.startswith("--") and o not in proven}
        for _, command in commands()
        if command.startswith("python")
    }
    asked = {"triton_models.launch": ["--help"], "mlflow": ["server", "--help"]}
    assert {shlex.split(command)[2] for command, options in new.items() if options} == set(asked)
    for command, options in new.items():
        module = shlex.split(command)[2]
        if options:
            start = [sys.executable, "-m", module, *asked[module]]
            told = subprocess.run(start, cwd=ROOT, capture_output=True, text=True, check=True).stdout
            assert {o for o in options if o not in told} == set()


def test_the_image_runs_as_nobody_special_and_holds_no_state() -> None:
    users = re.findall(r"^USER (\w+)$", IMAGE, re.MULTILINE)
    assert users[-1] == "drift"
    ignored = (ROOT / f"{DOCKERFILE}.dockerignore").read_text().split()
    assert {".local", ".venv", ".venv-triton", ".git", ".env"} <= set(ignored)
    for source in re.findall(r"^COPY --chown=drift (.+) \S+$", IMAGE, re.MULTILINE):
        assert all((ROOT / part).exists() for part in source.split())


def test_nothing_in_the_files_is_a_secret() -> None:
    passed_on = re.compile(r"(\w+): \$\{\1-\}")
    text = passed_on.sub("", yaml.dump(SERVICES)) + IMAGE
    assert not re.search(r"password|secret:|token|api_key", text, re.IGNORECASE)


def test_a_file_of_settings_that_holds_one_is_not_kept() -> None:
    """.env.example tells people to make it."""
    assert ".env" in (ROOT / ".gitignore").read_text().splitlines()


@pytest.mark.parametrize("name", SERVICES)
def test_every_setting_is_fixed_or_passed_on(name: str) -> None:
    fixed_ports = {port.upper() for port in Settings.port_defaults()}
    environment = SERVICES[name]["environment"]
    assert variables() - set(environment) - fixed_ports - {"GATEWAY_HOST", "GATEWAY_ID"} == OUTSIDE


def test_what_is_passed_on_empty_is_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    passed = [key for key, value in COMPOSE["x-service"]["environment"].items() if value == f"${{{key}-}}"]
    assert {"SLACK_WEBHOOK_URL", "REFLEX", "GATEWAY_MAX_ROWS"} <= set(passed)
    for key in passed:
        monkeypatch.delenv(key, raising=False)
    batch, gateway = resolved(Settings.load()), GatewaySettings.load({})
    for key in passed:
        monkeypatch.setenv(key, "")
    assert resolved(Settings.load()) == batch
    assert GatewaySettings.load(dict.fromkeys(passed, "")) == gateway


@pytest.mark.skipif(shutil.which("docker-compose") is None, reason="needs docker-compose (Debian's will do)")
def test_docker_compose_reads_it() -> None:
    command = ["docker-compose", "-f", "docker-compose.yml", "config", "-q"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("target", ["compose-up", "compose-down"])
def test_without_an_engine_make_says_what_to_do_instead(target: str, tmp_path: Path) -> None:
    """Docker's client may be there; only its engine counts."""
    docker = tmp_path / "docker"
    docker.write_text("#!/bin/sh\necho 'Cannot connect to the Docker daemon' >&2; exit 1\n")
    docker.chmod(0o755)
    environment = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    done = subprocess.run(
        ["make", "-s", target], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode != 0
    assert "make up" in done.stderr
    assert "Cannot connect" not in done.stdout + done.stderr


def test_with_an_engine_make_starts_and_stops_the_containers(tmp_path: Path) -> None:
    docker = tmp_path / "docker"
    docker.write_text('#!/bin/sh\necho "docker $*"\n')
    docker.chmod(0o755)
    environment = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    for target, command in (("compose-up", "up --build --detach --wait"), ("compose-down", "down")):
        done = subprocess.run(
            ["make", "-s", target], cwd=ROOT, env=environment, capture_output=True, text=True, check=True
        )
        assert done.stdout == f"docker compose {command}\n"
