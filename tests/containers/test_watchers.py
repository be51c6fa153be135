"""Prometheus, Alertmanager and Grafana of the containers: the files that are shipped, where each looks for them."""

import json
import re
import shlex
import shutil
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.containers.compose import COMPOSE, SERVICES, mounts
from tests.containers.test_compose import listens
from tests.servers import ROOT

PROMTOOL, AMTOOL = shutil.which("promtool"), shutil.which("amtool")
PROVISIONING = ROOT / "observability" / "grafana" / "provisioning"
# Where the two profiles differ: files, and whom they listen to.
PLACES = ("--config.file", "--storage.path", "--storage.tsdb.path", "--web.listen-address")


def flags(words: list[str]) -> dict[str, str]:
    return {name: value for name, _, value in (word.partition("=") for word in words if word.startswith("--"))}


@pytest.mark.parametrize("name", ["prometheus", "alertmanager"])
def test_it_is_started_as_without_docker(name: str) -> None:
    supervised = (ROOT / "observability" / name / "supervisord.conf").read_text()
    embedded = flags(shlex.split(re.findall(r"^command = (.+)$", supervised, re.MULTILINE)[0])[1:])
    here = flags(SERVICES[name]["command"])
    port = SERVICES[name]["ports"][0].split(":")[2]
    assert here.keys() == embedded.keys()
    moved = {flag: re.sub(r"%\(ENV_\w+_PORT\)s", port, value) for flag, value in embedded.items()}
    assert {f: v for f, v in here.items() if f not in PLACES} == {f: v for f, v in moved.items() if f not in PLACES}
    assert here["--web.listen-address"] == f"0.0.0.0:{port}"


def inside(name: str, path: str) -> Path:
    """The file of the checkout that a service finds at `path`."""
    place = max((place for place in mounts(name) if path.startswith(place)), key=len)
    outside, _ = mounts(name)[place]
    return ROOT / outside / path[len(place) :].removeprefix("/")


def test_prometheus_finds_its_configuration_and_its_rules() -> None:
    path = inside("prometheus", flags(SERVICES["prometheus"]["command"])["--config.file"])
    shipped: dict[str, Any] = yaml.safe_load(path.read_text())
    assert all(list(path.parent.glob(pattern)) for pattern in shipped["rule_files"])
    jobs = [*shipped["scrape_configs"], *shipped["alerting"]["alertmanagers"]]
    targets = {target for job in jobs for group in job["static_configs"] for target in group["targets"]}
    assert len(targets) == 7
    for host, port in (target.split(":") for target in targets):
        assert port in listens(host), host


@pytest.mark.skipif(PROMTOOL is None, reason="no promtool: as root, apt-get install prometheus")
def test_promtool_takes_the_configuration() -> None:
    path = inside("prometheus", flags(SERVICES["prometheus"]["command"])["--config.file"])
    done = subprocess.run([PROMTOOL, "check", "config", path], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_alertmanager_calls_the_receiver_of_alerts_and_reads_secrets_that_it_has() -> None:
    shipped = (ROOT / "observability" / "alertmanager" / "alertmanager.yml").read_text()
    hooks = set(re.findall(r"url: http://([\w-]+):(\d+)/alerts", shipped))
    assert hooks == {("incidents", "8400")}
    assert "8400" in listens("incidents")
    secrets = set(re.findall(r"/run/secrets/(\w+)", shipped))
    assert secrets == set(SERVICES["alertmanager"]["secrets"])
    assert secrets <= set(SERVICES["setup"]["secrets"]) & set(COMPOSE["secrets"])


def test_grafana_finds_the_boards_and_prometheus() -> None:
    (boards,) = yaml.safe_load((PROVISIONING / "dashboards" / "dashboards.yml").read_text())["providers"]
    found = sorted(inside("grafana", boards["options"]["path"]).glob("*.json"))
    assert len(found) == 4
    assert inside("grafana", "/etc/grafana/provisioning/datasources/prometheus.yml").exists()
    (source,) = yaml.safe_load((PROVISIONING / "datasources" / "prometheus.yml").read_text())["datasources"]
    host, port = source["url"].removeprefix("http://").split(":")
    assert port in listens(host)
    assert all(source["uid"] in json.dumps(json.loads(board.read_text())) for board in found)


def test_grafana_is_of_the_series_that_the_boards_are_written_for() -> None:
    development = tomllib.loads((ROOT / "pyproject.toml").read_text())["dependency-groups"]["dev"]
    (sdk,) = (pin for pin in development if pin.startswith("grafana-foundation-sdk"))
    assert SERVICES["grafana"]["image"].split(":")[1].split(".")[:2] == sdk.split("!")[1].split(".")[:2]


def test_grafana_asks_for_a_password_that_is_drawn_and_calls_nobody() -> None:
    environment = SERVICES["grafana"]["environment"]
    assert environment["GF_SECURITY_ADMIN_PASSWORD__FILE"] == "/run/secrets/grafana_admin_password"
    assert SERVICES["grafana"]["secrets"] == ["grafana_admin_password"]
    assert not [name for name in environment if "ANONYMOUS" in name]
    assert environment["GF_ANALYTICS_REPORTING_ENABLED"] == "false"
