"""The two images: what is copied exists, what runs is not root, and the gateway's has what it imports and no more."""

import ast
import fnmatch
import re
import sys
import tomllib
from dataclasses import dataclass
from importlib.metadata import packages_distributions

import pytest

from tests.containers.compose import OURS, SERVICES
from tests.servers import ROOT

DOCKERFILE = ROOT / "orchestration" / "container" / "Dockerfile"
IGNORED = (DOCKERFILE.with_name("Dockerfile.dockerignore")).read_text().split()
GATEWAY_LOCK = ROOT / "serving_gateway" / "requirements.lock"


@dataclass(frozen=True)
class Stage:
    """What one FROM begins: the stage under it, and its instructions."""

    base: str
    lines: tuple[str, ...]

    def copied(self) -> list[str]:
        """What is copied from the checkout."""
        copies = [line.split()[1:-1] for line in self.lines if line.startswith("COPY ") and "--from=" not in line]
        return [source for sources in copies for source in sources]


def stages() -> dict[str, Stage]:
    text = re.sub(r"\\\n\s*", "", DOCKERFILE.read_text())
    found = {}
    for part in re.split(r"^FROM ", text, flags=re.MULTILINE)[1:]:
        head, *lines = [line for line in part.splitlines() if line and not line.startswith("#")]
        base, _, name = head.split()
        found[name] = Stage(base, tuple(lines))
    return found


STAGES = stages()


def pins(path: str) -> dict[str, str]:
    return dict(re.findall(r"^([\w.-]+)==(\S+)", (ROOT / path).read_text(), re.MULTILINE))


@pytest.mark.parametrize("name", OURS)
def test_a_service_of_ours_is_built_from_a_stage_of_the_dockerfile(name: str) -> None:
    service = SERVICES[name]
    target = service["image"].removeprefix("drift-")
    assert service["build"] == {
        "context": ".",
        "dockerfile": str(DOCKERFILE.relative_to(ROOT)),
        "target": target,
    }
    assert STAGES[target].lines[-1] == f"USER {service['user']}"


def test_what_runs_has_no_tools_that_build() -> None:
    for target in ("gateway", "platform"):
        assert STAGES[target].base == "base"
        runs = " ".join(line for line in STAGES[target].lines if line.startswith("RUN "))
        assert "pip" not in runs
        assert set(re.findall(r"install --yes --no-install-recommends ([\w ]+?) &&", runs)) <= {"libgomp1"}
        assert any(line.startswith(f"COPY --from={target}-environment ") for line in STAGES[target].lines)
        assert "--require-hashes" in " ".join(STAGES[f"{target}-environment"].lines)


def test_the_base_is_pinned_and_of_the_projects_python() -> None:
    python = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["requires-python"]
    assert python == ">=3.11,<3.12"
    assert re.fullmatch(r"python:3\.11\.\d+-slim-bookworm", STAGES["base"].base)


@pytest.mark.parametrize("name", STAGES)
def test_what_is_copied_is_in_the_checkout_and_not_ignored(name: str) -> None:
    for source in STAGES[name].copied():
        assert (ROOT / source).exists(), source
        assert not any(fnmatch.fnmatch(source, pattern) for pattern in IGNORED)


def test_secrets_and_state_stay_out_of_the_build() -> None:
    assert {".local", ".venv", ".venv-triton", ".git", ".env", "secrets"} <= set(IGNORED)
    assert {".env", "secrets/"} <= set((ROOT / ".gitignore").read_text().splitlines())


def test_the_platforms_image_has_every_room_and_no_test() -> None:
    rooms = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["root_packages"]
    copied = set(STAGES["platform"].copied())
    assert {*rooms, "data", "workspace.yaml", "docs/incidents/TEMPLATE.md"} <= copied
    assert "tests" not in copied


def test_volumes_find_folders_that_belong_to_the_user() -> None:
    for target in ("gateway", "platform"):
        made = re.findall(r"--owner drift ([^&]+)", " ".join(STAGES[target].lines))[0].split()
        mounted = {
            inside.split(":")[1]
            for name in OURS
            if SERVICES[name]["image"] == f"drift-{target}"
            for inside in SERVICES[name]["volumes"]
        }
        assert set(made) == mounted
    assert "useradd --uid 10001 --gid 10001" in " ".join(STAGES["base"].lines)


def imported() -> set[str]:
    """Packages of others that the gateway's files import."""
    found = set()
    for path in (ROOT / "serving_gateway").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                found |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                found.add(node.module.split(".")[0])
    return found - set(sys.stdlib_module_names) - {"serving_gateway"}


def test_the_gateways_lock_has_what_it_imports_in_the_versions_of_the_other() -> None:
    text = (ROOT / "serving_gateway" / "requirements.in").read_text()
    asked = {line for line in text.splitlines() if line and not line.startswith("#")}
    lock, whole = pins("serving_gateway/requirements.lock"), pins("requirements.lock")
    known = packages_distributions()
    provided = {name: set(known.get(name, [])) for name in imported()}
    assert {name for name, distributions in provided.items() if not distributions & asked} == set()
    assert asked <= set.union(*provided.values()) & set(lock)
    assert {name: whole.get(name) for name in lock} == lock
    assert len(lock) < len(whole) / 4
    assert "://" not in GATEWAY_LOCK.read_text()
