"""The tables of settings and dependencies are complete, and their defaults are the code's."""

import inspect
import os
import re
import subprocess
import tomllib
from pathlib import Path

import pytest

from orchestration.settings import Settings as BatchSettings
from serving_gateway.settings import Settings as GatewaySettings
from tests.docs.markdown import README, table
from tests.servers import ROOT

EXAMPLE = (ROOT / ".env.example").read_text()
BATCH_SOURCE = "".join((ROOT / "orchestration" / file).read_text() for file in ("settings.py", "crons.py"))
# Read by Dagster itself, and by `make serve`.
FURTHER = {"DAGSTER_HOME", "CANARY_SPLIT"}


def variables() -> set[str]:
    """Every variable that the settings of either side read."""
    ports = {name.upper() for name in BatchSettings.port_defaults()}
    addresses = set(re.findall(r"environ\.get\(\"(\w+)\"\)", BATCH_SOURCE))
    assert {"PLATFORM_HOME", "TRITON_GRPC"} <= addresses
    return ports | addresses | {variable for variable, _, _ in GatewaySettings.table()} | FURTHER


def test_the_readme_lists_every_setting_and_no_other() -> None:
    assert set(table(README, "Settings")) == variables()


def test_the_readmes_defaults_are_the_codes() -> None:
    shown = {name: default.split(" ")[0].strip("`") for name, (default, _) in table(README, "Settings").items()}
    defaults = {name.upper(): str(port) for name, port in BatchSettings.port_defaults().items()}
    defaults |= {variable: default for variable, default, _ in GatewaySettings.table() if "{" not in default}
    assert {name: shown[name] for name in defaults} == defaults


def test_the_example_lists_every_setting_once() -> None:
    listed = re.findall(r"^#(\w+)=", EXAMPLE, re.MULTILINE)
    assert sorted(listed) == sorted(variables())


def test_nothing_in_the_example_is_set_until_it_is_uncommented() -> None:
    assert [line for line in EXAMPLE.splitlines() if line and not line.startswith("#")] == []


def test_the_example_uncommented_is_what_holds_without_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    uncommented = re.sub(r"^#(?=\w+=)", "", EXAMPLE, flags=re.MULTILINE)
    clean = {"PATH": os.environ["PATH"]}
    shell = subprocess.run(
        ["bash", "-c", f"set -a\n{uncommented}\nenv -0"],
        cwd=ROOT,
        env=clean,
        capture_output=True,
        text=True,
        check=True,
    )
    environment = dict(pair.split("=", 1) for pair in shell.stdout.split("\0") if pair)
    for name in variables():
        monkeypatch.delenv(name, raising=False)
    # a demo in this checkout leaves word there of the clock that it ran by
    monkeypatch.setattr(BatchSettings, "event_clock", property(lambda _: tmp_path / "event_clock"))
    gateway, batch = GatewaySettings.load({}), BatchSettings.load()
    expected = resolved(batch)
    for name in variables():
        monkeypatch.setenv(name, environment[name])
    assert GatewaySettings.load(environment) == gateway
    assert resolved(BatchSettings.load()) == expected


def resolved(batch: BatchSettings) -> list[object]:
    """Fields and properties alike."""
    return [
        batch,
        *(getattr(batch, name) for name, found in inspect.getmembers(BatchSettings) if isinstance(found, property)),
    ]


def test_every_dependency_has_its_reason() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    groups = project["dependency-groups"].values()
    needed = [*project["project"]["dependencies"], *(requirement for group in groups for requirement in group)]
    names = {re.split(r"[\[=<>]", requirement)[0] for requirement in needed}
    reasons = table(ROOT / "docs" / "decisions.md", "Dependencies")
    assert set(reasons) == names
    assert all(reason.strip() for (reason,) in reasons.values())
