"""Every service that can be a process here is one: started in its order by its own command, and well by its own check.

PostgreSQL is Debian's, Redis and Triton are the wheels', Prometheus and Alertmanager Debian's. Grafana has no package there.
"""

import importlib.metadata
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest

from orchestration.embedded.alerting import installed
from tests.containers.compose import OURS, SERVICES, mounts
from tests.containers.machine import Machine
from tests.containers.postgres import INITDB, postgres
from tests.servers import ROOT, until
from triton_models.launch import build_backends, inspect_environment

pytestmark = [
    pytest.mark.integration,
    pytest.mark.timeout(900),
    pytest.mark.skipif(INITDB is None, reason="no PostgreSQL: as root, apt-get install postgresql"),
]
WATCHERS = {"prometheus", "alertmanager"}
HERE = [*OURS, "redis", "postgres", "triton", *installed()]
PATIENCE_S = 420.0  # of a machine that is busy; where nobody else works it takes one
DATABASES = "dagster", "mlflow"


@dataclass
class Running:
    """What was started, and which of it got well."""

    machine: Machine
    well: set[str] = field(default_factory=set)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """All of them, up as Compose brings them up: each when what it waits for is well."""
    folder = tmp_path_factory.mktemp("containers")
    (folder / "secrets").mkdir()
    subprocess.run(["sh", ROOT / "orchestration" / "container" / "secrets.sh"], cwd=folder, check=True)
    for name in ("api_keys", "slack_webhook_url", "pagerduty_routing_key", "jira_token"):
        (folder / "secrets" / name).symlink_to("none")
    running = Running(Machine(folder, {"drift-gateway": gateway_environment(folder / "gateway-environment")}))
    with ExitStack() as stack:
        stack.callback(running.machine.stop)
        bring_up(running, stack)
        yield running


@pytest.fixture
def machine(running: Running) -> Machine:
    return running.machine


def bring_up(running: Running, stack: ExitStack) -> None:
    machine, well = running.machine, running.well
    waiting, deadline = set(HERE), time.monotonic() + PATIENCE_S
    again = dict.fromkeys(HERE, 0.0)  # a check that takes long is not asked as often: it slows what it waits for
    while waiting or well != set(HERE):
        for name in sorted(waiting):
            if all(needed in well for needed in SERVICES[name].get("depends_on", {}) if needed != "triton-gpu"):
                start(machine, name, stack)
                waiting.remove(name)
        for name in sorted(set(HERE) - waiting - well):
            if (asked := time.monotonic()) >= again[name]:
                well |= {name} if is_well(machine, name) else set()
                again[name] = 3 * time.monotonic() - 2 * asked
        if time.monotonic() > deadline:
            return  # each test says of its own service how it stands
        time.sleep(0.2)


def start(machine: Machine, name: str, stack: ExitStack) -> None:
    if name == "postgres":
        scripts = [ROOT / outside for inside, (outside, _) in mounts(name).items() if inside.endswith(".sql")]
        stack.enter_context(postgres(machine.ports["5432"], machine.environment(name), scripts))
    elif name == "triton":
        machine.start(name, nvidias_layout(machine.root(name) / "opt" / "tritonserver"))
    else:
        machine.start(name)


def is_well(machine: Machine, name: str) -> bool:
    if "healthcheck" not in SERVICES[name]:
        return machine.processes[name].popen.poll() == 0
    ended = name in machine.processes and machine.processes[name].popen.poll() is not None
    return not ended and machine.healthy(name)


def gateway_environment(folder: Path) -> Path:
    """An environment of what the gateway's lock names and nothing else; returns its programs' folder."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    (packages,) = folder.glob("lib/python*/site-packages")
    lock = (ROOT / "serving_gateway" / "requirements.lock").read_text()
    for name in re.findall(r"^([\w.-]+)==", lock, re.MULTILINE):
        for top in {file.parts[0] for file in importlib.metadata.distribution(name).files or []} - {
            "..",
            "__pycache__",
        }:
            if not (packages / top).exists():  # a namespace is shared
                (packages / top).symlink_to(str(importlib.metadata.distribution(name).locate_file(top)))
    return folder / "bin"


def nvidias_layout(folder: Path) -> dict[str, str]:
    """The wheel's server as NVIDIA's image has its own; returns what the wheel's needs in its environment."""
    environment = inspect_environment(ROOT / ".venv-triton")
    (folder / "bin").mkdir(parents=True)
    (folder / "bin" / "tritonserver").symlink_to(environment.server)
    build_backends(environment, folder / "backends")
    return environment.variables(os.environ["PATH"])


@pytest.mark.parametrize("name", HERE)
def test_a_service_gets_well_by_its_own_check(running: Running, name: str) -> None:
    process = running.machine.processes.get(name)
    assert name in running.well, process.end_of_log() if process else "what it waits for is not well"


def test_nothing_that_is_ours_is_left_out() -> None:
    assert set(SERVICES) - set(HERE) - WATCHERS == {"grafana", "triton-gpu"}


def test_dagster_and_mlflow_are_in_postgres_and_leave_no_sqlite(machine: Machine) -> None:
    import psycopg2

    tables = {}
    for name in DATABASES:
        with (
            psycopg2.connect(
                host="127.0.0.1",
                port=machine.ports["5432"],
                user="drift",
                dbname=name,
                password=(machine.folder / "secrets" / "postgres_password").read_text().strip(),
            ) as connection,
            connection.cursor() as cursor,
        ):
            cursor.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
            tables[name] = {table for (table,) in cursor.fetchall()}
    assert {"runs", "event_logs", "job_ticks"} <= tables["dagster"]
    assert {"experiments", "registered_models"} <= tables["mlflow"]
    assert [path for path in (machine.folder / "volumes").rglob("*.db") if path.is_file()] == []


def test_the_webserver_has_the_definitions_of_the_code_server(machine: Machine) -> None:
    query = "{ repositoriesOrError { ... on RepositoryConnection { nodes { name location { name } } } } }"
    url = f"http://127.0.0.1:{machine.ports['3000']}/graphql"
    answer = httpx.post(url, json={"query": query}, timeout=30, trust_env=False).json()
    assert answer["data"]["repositoriesOrError"]["nodes"] != []


def test_the_doctor_inside_finds_every_neighbour(machine: Machine) -> None:
    """As the runbook asks it: `docker compose exec dagster python -m orchestration.doctor`."""
    doctor = [sys.executable, "-m", "orchestration.doctor", "--json"]
    done = subprocess.run(
        doctor,
        cwd=machine.image("dagster"),
        env=machine.environment("dagster"),
        capture_output=True,
        text=True,
        check=False,
    )
    says = {line["check"]: line["says"] for line in json.loads(done.stdout)}
    silent = {check for check, said in says.items() if said.startswith(("does not answer", "could not be looked at"))}
    absent = WATCHERS - installed().keys()
    assert silent == absent | ({"alerts"} if "alertmanager" in absent else set())
    assert "nobody is told" not in says["alerts"]


@pytest.mark.full
def test_runs_write_to_the_volumes_and_are_kept_in_postgres(machine: Machine) -> None:
    """A day becomes features, and Feast's definitions are applied, as `docker compose exec dagster-code` does it."""
    environment, image = machine.environment("dagster-code"), machine.image("dagster-code")
    dagster = ["dagster", "asset", "materialize", "-m", "orchestration.definitions", "--select"]
    for asked in (
        ["raw_flights,raw_weather,feature_views,training_rows", "--partition", "2013-05-02"],
        ["feature_registry"],
    ):
        done = subprocess.run(
            [*dagster, *asked], cwd=image, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr[-3000:]
    state = machine.folder / "volumes" / "state"
    assert list((state / "lake").rglob("*.parquet"))
    assert (state / "feast" / "registry.sqlite").exists()
    query = "{ runsOrError(filter: {statuses: [SUCCESS]}) { ... on Runs { results { runId } } } }"
    url = f"http://127.0.0.1:{machine.ports['3000']}/graphql"
    runs = httpx.post(url, json={"query": query}, timeout=30, trust_env=False).json()["data"]["runsOrError"]["results"]
    assert len(runs) == 2


def test_the_drawn_admin_token_opens_the_rollout_and_no_other_does(machine: Machine) -> None:
    url = f"http://127.0.0.1:{machine.ports['8000']}/rollout/rollback"
    token = (machine.folder / "secrets" / "admin_token").read_text().strip()
    status = {
        given: httpx.post(
            url, json={"reason": "a look"}, headers={"authorization": f"Bearer {given}"}, timeout=10, trust_env=False
        ).status_code
        for given in (token, "another")
    }
    assert status["another"] in (401, 403)
    assert status[token] not in (401, 403)


def test_what_is_published_is_loaded_when_triton_alone_starts_again(machine: Machine) -> None:
    """Explicit mode starts empty: the manifest of the volume is what a restart knows."""
    models = machine.folder / "volumes" / "models"
    version = models / "repository" / "echo" / "1"
    version.mkdir(parents=True)
    tensor = '[ { name: "%s" data_type: TYPE_FP32 dims: [ 1 ] } ]'
    (version.parent / "config.pbtxt").write_text(
        f'name: "echo"\nbackend: "python"\ninput {tensor % "x"}\noutput {tensor % "y"}\n'
    )
    (version / "model.py").write_text(
        "class TritonPythonModel:\n    def execute(self, requests):\n        raise NotImplementedError\n"
    )
    (models / "manifest.json").write_text(json.dumps(["echo"]))
    url = f"http://127.0.0.1:{machine.ports['8100']}/v2/models/echo/ready"
    assert httpx.get(url, trust_env=False).status_code != 200

    old = machine.processes["triton"].popen
    old.terminate()
    old.wait(30)
    machine.start("triton", inspect_environment(ROOT / ".venv-triton").variables(os.environ["PATH"]))

    until(lambda: machine.healthy("triton"), "Triton is well again", timeout_s=60)
    assert httpx.get(url, trust_env=False).status_code == 200


def test_nothing_is_written_outside_of_volumes_and_memory(machine: Machine) -> None:
    """The root file systems are read-only, and what the images copy is in them."""
    for image in (machine.folder / "images").iterdir():
        assert [path for path in image.rglob("*") if not (ROOT / path.relative_to(image)).exists()] == []
    for name in set(HERE) - {"postgres"}:
        root = machine.root(name)
        written = {path for path in root.rglob("*") if path.is_file() and not path.is_symlink()}
        beside = {path for path in written if not path.is_relative_to(root / "tmp") and "opt" not in path.parts}
        assert beside == set(), name
