"""docker-compose.yml, as far as it can be checked without a Docker engine: its schema, its order, its limits, its names."""

import re
import subprocess
import sys
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest
import yaml

from orchestration.settings import Settings
from serving_gateway.settings import Settings as GatewaySettings
from tests.containers.compose import COMPOSE, FILE, FOREIGN, OURS, SERVICES, check, interpolated, mounts, port_inside
from tests.docs.markdown import PAGES, table
from tests.docs.test_tables import resolved, variables
from tests.servers import ROOT

ANYWHERE = 3001  # Grafana's, which no setting of ours moves
# Folders and files of the machine outside, what `make serve` alone reads, and secrets that are not files.
OUTSIDE = {
    "FLIGHTS_SOURCE",
    "REPORTS_PATH",
    "DRIFT_REFERENCE_PATH",
    "DRIFT_CURRENT_PATH",
    "CANARY_SPLIT",
    "ADMIN_TOKEN",
    "SLACK_WEBHOOK_URL",
}


def test_no_key_stands_twice() -> None:
    """Compose refuses such a file; Python's reader takes the last one."""
    nodes: list[yaml.Node] = [yaml.compose(FILE.read_text())]
    seen = 0
    while nodes:
        node = nodes.pop()
        seen += 1
        if isinstance(node, yaml.MappingNode):
            keys = [key.value for key, _ in node.value]
            assert len(keys) == len(set(keys)), keys
            nodes += [value for _, value in node.value]
        elif isinstance(node, yaml.SequenceNode):
            nodes += node.value
    assert seen > 500


def schema_says(path: Path) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec", str(path)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_the_file_is_of_the_compose_specification(tmp_path: Path) -> None:
    done = schema_says(FILE)
    assert done.returncode == 0, done.stdout
    broken = tmp_path / "docker-compose.yml"
    broken.write_text(FILE.read_text().replace("    shm_size:", "    shared_memory:", 1))
    assert "shared_memory" in schema_says(broken).stdout


@pytest.mark.parametrize(
    ("text", "unset", "empty", "given"),
    [
        ("${A-b}", "b", "", "x"),
        ("${A:-b}", "b", "b", "x"),
        ("${A+b}", "", "b", "b"),
        ("${A:+b}", "", "", "b"),
        ("a ${A-} c", "a  c", "a  c", "a x c"),
    ],
)
def test_variables_are_put_in_as_compose_does(text: str, unset: str, empty: str, given: str) -> None:
    values = [interpolated({"k": [text]}, variables) for variables in ({}, {"A": ""}, {"A": "x"})]
    assert values == [{"k": [unset]}, {"k": [empty]}, {"k": [given]}]


def test_no_other_form_of_variable_is_in_the_file() -> None:
    assert "$" not in str(interpolated(COMPOSE, {}))


def test_the_services_are_the_embedded_profiles_processes_and_what_they_need() -> None:
    supervised = "".join(path.read_text() for path in (ROOT / "supervisord.conf", *ROOT.glob("observability/*/*.conf")))
    embedded = set(re.findall(r"^\[program:([\w-]+)\]", supervised, re.MULTILINE))
    here = {"gateway": "serving", "code-server": "dagster-code", "webserver": "dagster", "daemon": "dagster-daemon"}
    besides = {"setup", "postgres", "grafana", "triton-gpu"}
    assert {here.get(program, program) for program in embedded} | besides == set(SERVICES)


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_has_few_rights_and_bounds(name: str) -> None:
    service = SERVICES[name]
    user, group = service["user"].split(":")
    assert int(user) > 0
    assert group.isdigit()
    assert service["read_only"] is True
    assert "/tmp" in service["tmpfs"]
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert not {"privileged", "cap_add", "network_mode", "pid", "ipc", "devices"} & set(service)
    assert service["logging"]["options"].keys() == {"max-size", "max-file"}
    assert service["restart"] == ("on-failure:3" if name == "setup" else "unless-stopped")
    limits = service["deploy"]["resources"]["limits"]
    assert re.fullmatch(r"\d+[mg]", limits["memory"])
    assert 0 < float(limits["cpus"]) <= 2  # an engine refuses more than its machine has
    assert limits["pids"] > 0


@pytest.mark.parametrize("name", FOREIGN)
def test_an_image_of_others_is_pinned(name: str) -> None:
    _, colon, tag = SERVICES[name]["image"].rpartition(":")
    assert colon
    assert re.match(r"v?\d+\.\d+", tag)


def test_every_port_is_published_on_loopback_as_it_is_without_docker_and_is_one_that_the_pages_name() -> None:
    published = [text for name in SERVICES if name != "triton-gpu" for text in SERVICES[name].get("ports", [])]
    assert all(re.fullmatch(r"127\.0\.0\.1:(\d+):\1", text) for text in published)
    ports = [int(text.split(":")[2]) for text in published]
    assert len(ports) == len(set(ports))
    named = {int(port) for page in PAGES for port in re.findall(r"://127\.0\.0\.1:(\d+)", page.read_text())}
    assert set(ports) == named & ({*Settings.port_defaults().values()} | {ANYWHERE})
    assert SERVICES["triton-gpu"]["ports"] == SERVICES["triton"]["ports"]


@pytest.mark.parametrize("name", [name for name in SERVICES if name != "setup"])
def test_a_service_says_when_it_is_well(name: str) -> None:
    health = SERVICES[name]["healthcheck"]
    assert {"interval", "timeout", "retries", "start_period"} <= set(health)
    for port in set(re.findall(r"127\.0\.0\.1:(\d+)", " ".join(check(name)))):
        assert port in port_inside(name)


def test_the_order_has_no_circle_and_waits_for_what_can_be_waited_for() -> None:
    needs = {name: service.get("depends_on", {}) for name, service in SERVICES.items()}
    order = list(TopologicalSorter(needs).static_order())
    assert set(order) == set(SERVICES)
    for name, needed in needs.items():
        for other, how in needed.items():
            ends = how["condition"] == "service_completed_successfully"
            assert ends == (other == "setup"), (name, other)
            # a service of a profile that is not chosen is not waited for
            assert (how.get("required", True) is False) == ("profiles" in SERVICES[other])


def test_every_volume_is_declared_and_every_file_is_there() -> None:
    used = set()
    for name in SERVICES:
        for outside, writable in mounts(name).values():
            if outside.startswith("./"):
                assert (ROOT / outside).exists(), outside
                assert not writable, outside
            else:
                used.add(outside)
    assert used == set(COMPOSE["volumes"])


def test_who_only_reads_cannot_write() -> None:
    writers: dict[str, set[str]] = {}
    for name in SERVICES:
        for outside, writable in mounts(name).values():
            if writable:
                writers.setdefault(outside, set()).add(name)
    platform = {"setup", "updater", "incidents", "dagster-code", "dagster", "dagster-daemon"}
    assert {volume: names for volume, names in writers.items() if len(names) > 1} == dict.fromkeys(
        ("state", "models", "reports"), platform
    )
    assert writers["alerting"] == {"setup"}


def addresses() -> Iterator[tuple[str, str, str]]:
    """(who, host, port) of every neighbour that a service is told of; what a browser opens is outside."""
    for name, service in SERVICES.items():
        told = [*service.get("environment", {}).values(), *service.get("command", [])]
        for text in map(str, told):
            for host, port in re.findall(r"([\w-]+):(\d{4,5})\b", text):
                if host not in ("localhost", "1", "0"):  # the last parts of 127.0.0.1 and 0.0.0.0
                    yield name, host, port


def listens(name: str) -> set[str]:
    """The ports that a service's command, check or defaults name."""
    text = " ".join([*SERVICES[name].get("command", []), *check(name), *port_inside(name)])
    triton = {"8101", "8102"} if name == "triton" else set()
    return set(re.findall(r"(?<![\d.])\d{4}(?!\d)", text)) | triton


def test_a_service_finds_its_neighbours_by_names_that_are_there() -> None:
    found = list(addresses())
    assert len(found) > 30
    assert [(who, host, port) for who, host, port in found if host not in SERVICES or port not in listens(host)] == []


@pytest.mark.parametrize("name", [name for name in OURS if "DAGSTER_HOME" in SERVICES[name]["environment"]])
def test_every_setting_is_fixed_or_passed_on(name: str) -> None:
    fixed_ports = {port.upper() for port in Settings.port_defaults()}
    environment = SERVICES[name]["environment"]
    assert variables() - set(environment) - fixed_ports - {"GATEWAY_HOST", "GATEWAY_ID"} == OUTSIDE


def test_every_service_of_ours_has_the_settings() -> None:
    assert all("DAGSTER_HOME" in SERVICES[name]["environment"] for name in OURS)


def test_what_is_passed_on_empty_is_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    given = COMPOSE["x-platform"]["environment"]
    passed = [key for key, value in given.items() if re.fullmatch(rf"\${{{key}(-|:\+[\w/]+)}}", value)]
    assert {"SLACK_WEBHOOK_URL_FILE", "JIRA_TOKEN_FILE", "REFLEX", "GATEWAY_MAX_ROWS"} <= set(passed)
    for key in passed:
        monkeypatch.delenv(key, raising=False)
    batch, gateway = resolved(Settings.load()), GatewaySettings.load({})
    for key in passed:
        assert interpolated(given[key], {}) == ""
        monkeypatch.setenv(key, "")
    assert resolved(Settings.load()) == batch
    assert GatewaySettings.load(dict.fromkeys(passed, "")) == gateway


def test_a_gpu_is_reserved_by_its_profile_alone_and_answers_to_the_same_name() -> None:
    assert (SERVICES["triton"]["profiles"], SERVICES["triton-gpu"]["profiles"]) == (["cpu"], ["gpu"])
    assert [name for name in SERVICES if "profiles" in SERVICES[name]] == ["triton", "triton-gpu"]
    reserved = {name for name in SERVICES if "reservations" in SERVICES[name]["deploy"]["resources"]}
    assert reserved == {"triton-gpu"}
    assert SERVICES["triton-gpu"]["networks"]["default"]["aliases"] == ["triton"]
    for same in ("image", "command", "user", "volumes", "healthcheck"):
        assert SERVICES["triton-gpu"][same] == SERVICES["triton"][same]


def test_the_page_names_every_service_with_its_image_and_its_address() -> None:
    rows = table(ROOT / "docs" / "containers.md", "What is where").items()
    told = {name: cells for names, cells in rows for name in re.findall(r"[\w-]+", names)}
    assert {name: image.strip("`") for name, (image, _, _) in told.items()} == {
        name: service["image"].partition(":")[0] for name, service in SERVICES.items()
    }
    ports = {name: set(re.findall(r":(\d+)>", where)) for name, (_, _, where) in told.items()}
    assert ports == {name: port_inside(name) for name in SERVICES}


def test_docker_compose_reads_it() -> None:
    if subprocess.run(["docker", "compose", "version"], capture_output=True, check=False).returncode:
        pytest.skip("no Docker with compose here")
    command = ["docker", "compose", "--profile", "*", "config", "--quiet"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
