"""The runbook is whole, its blocks are tagged, and what no platform is needed for is checked here.

tests/e2e/test_runbook_commands.py runs the rest.
"""

import re
import shlex
import subprocess
from typing import get_args

import pytest

from orchestration.doctor.finding import Section
from orchestration.settings import Settings
from tests.containers.compose import SERVICES
from tests.docs.examples import MAKE
from tests.docs.markdown import prose, table
from tests.docs.runbook import KINDS, OLDER, RUNBOOK, TAGS, commands, lines
from tests.servers import ROOT

TEXT = RUNBOOK.read_text()
SECTIONS = [
    "1. Intake", "2. Immediate checks", "3. Diagnosis", "4. Rollback", "5. Shadow review", "6. Regression checks",
    "7. After the incident", "8. Contacts", "Older commands and paths",
]  # fmt: skip
COMPOSE_COMMANDS = {"logs", "restart", "exec"}


def test_the_sections_stand_in_order() -> None:
    assert re.findall(r"^## (.+)$", TEXT, re.MULTILINE) == SECTIONS


def test_every_block_is_tagged_and_says_what_it_shows() -> None:
    assert len(commands()) == TEXT.count("\n```") / 2
    assert [command.text for command in commands() if command.tag not in TAGS] == []
    assert [command.text for command in commands("run") if not command.shows] == []
    assert len(commands("run")) > 25


def test_alternatives_and_conditions_are_told_apart() -> None:
    """What the parser makes of three real sentences."""
    shown = {command.text.splitlines()[0]: command.shows for command in commands("run")}
    assert shown[".venv/bin/python -m orchestration.notices --since 24h"] == (("severity",), ("No notices.",))
    assert shown["make doctor"] == (("each of the", "answers"),)
    assert shown["curl -s http://127.0.0.1:8000/rollout"] == (('"phase":', '"canary_weight_bp":'),)


def test_every_section_that_the_doctor_names_is_there() -> None:
    headings = set(re.findall(r"^#+ (.+)$", TEXT, re.MULTILINE))
    assert set(get_args(Section)) <= headings


def test_the_contacts_are_the_teams() -> None:
    rows = [tuple(cells) for cells in table(RUNBOOK, "8. Contacts").values()]
    assert rows == [("engineering@demo.io", "sre@demo.io"), ("ds-lead@demo.io", "analyst@demo.io")]
    assert set(re.findall(r"\S+@demo\.io", TEXT)) == {address for row in rows for address in row}


def test_the_intake_names_its_ways_in_and_its_severities() -> None:
    assert "`#mlops-alerts`" in TEXT
    assert '"Drift Platform"' in TEXT
    assert set(table(RUNBOOK, "1. Intake")) == {"SEV1", "SEV2", "SEV3"}


@pytest.mark.parametrize("line", lines("compose-only"))
def test_a_command_of_compose_fits_its_file(line: str) -> None:
    docker, compose, command, *arguments = shlex.split(line)
    assert (docker, compose) == ("docker", "compose")
    assert command in COMPOSE_COMMANDS
    if (
        command == "exec"
    ):  # what it runs stands behind the service; tests/docs/test_commands.py asks each module for help
        arguments, inside = arguments[:1], arguments[1:3]
        assert inside == ["python", "-m"]
    named = [a for a in arguments if not a.startswith("-") and not a.isdigit()]
    assert named
    assert set(named) <= set(SERVICES)


def test_ports_that_are_named_are_the_platforms() -> None:
    ports = {int(port) for port in re.findall(r"://(?:127\.0\.0\.1|localhost):(\d+)", TEXT)}
    assert ports <= set(Settings.port_defaults().values())


@pytest.mark.parametrize("line", lines("make-target"))
def test_a_make_target_is_one_that_a_test_stands_for(line: str) -> None:
    """tests/docs/test_commands.py holds the recipe against what that test runs."""
    make, *targets = re.sub(r"\w+=\S+ ", "", line).split()
    assert make == "make"
    assert targets
    assert set(targets) <= set(MAKE)


def test_dagster_is_always_told_of_its_home() -> None:
    """Without one it runs in a temporary instance, and says so in passing."""
    asked = [command.text for command in commands("run") if re.search(r"bin/dagster\b", command.text)]
    assert len(asked) == 4
    assert all(text.startswith('DAGSTER_HOME="${PLATFORM_HOME:-$PWD/.local}/dagster" ') for text in asked)


def test_training_for_a_check_touches_nothing_of_productions() -> None:
    blocks = [command.text for command in commands("make-target") if re.search(r"make .*\btrain\b", command.text)]
    assert len(blocks) == 1
    given = dict(word.split("=", 1) for word in shlex.split(blocks[0]) if "=" in word)
    ports = {name.upper(): port for name, port in Settings.port_defaults().items()}
    assert set(given) == set(ports) | {"PLATFORM_HOME"}
    assert len(set(given.values())) == len(given)
    assert not {int(given[name]) for name in ports} & set(ports.values())


def test_every_older_command_is_tried_by_its_kind() -> None:
    wanted = {
        "make compose-up", "make serve", "make test-unit", "make test-integration", "make train", "make test-regression",
        "curl http://localhost:8000/health", "docker compose logs serving", "services/monitoring/drift/reports/",
        "poetry run python services/serving/app/rollback.py --confirm", "services/model_training/validate_metrics.py",
        "ray status", "serving_app_request_latency_seconds_bucket", 'model_variant="baseline"',
    }  # fmt: skip
    assert wanted <= set(OLDER)
    assert {older.kind for older in OLDER.values()} == set(KINDS)
    assert all(older.here for older in OLDER.values())


def test_metrics_that_are_named_are_the_gateways() -> None:
    from serving_gateway.metrics import Metrics

    metrics = Metrics()
    metrics.views("weather", "present")
    metrics.exceptions("canary", "timeout")
    exposed = metrics.exposition().decode()
    named = set(re.findall(r"serving_app_\w+", TEXT)) - {"serving_app_spool"}
    # a pattern of alternatives names three of them
    named = {name for name in named if not name.endswith("_")}
    assert {name for name in named if name not in exposed} == set()
    for older in OLDER.values():
        if older.kind == "metric":
            assert older.here[0] in exposed


def test_files_that_are_named_exist() -> None:
    named = [
        *re.findall(r"`((?:orchestration|docs|data|tests)/[\w./-]+)`", prose(RUNBOOK)),
        "docs/incidents/TEMPLATE.md",
    ]
    assert [path for path in named if not (ROOT / path).exists()] == []


def test_a_make_target_that_is_run_at_night_builds_nothing() -> None:
    """Set-up would rebuild the environment that the platform runs in, where the lock has changed since it started."""
    at_night = {line.rsplit(maxsplit=1)[-1] for line in lines("run") if line.startswith("make ")}
    assert at_night == {"doctor"}
    for target in at_night:
        # -W: as if the locks had just changed
        command = ["make", "-n", "-W", "requirements.lock", "-W", "triton_models/requirements.lock", target]
        told = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
        assert "-m venv" not in told
        assert "pip install" not in told
