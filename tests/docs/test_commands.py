"""Every command that the pages name exists, and a test runs it."""

import re
import subprocess
import sys
from datetime import date

import pytest

from tests.docs.examples import MAKE, examples
from tests.docs.markdown import PAGES, README, blocks, prose
from tests.servers import ROOT

MAKEFILE = (ROOT / "Makefile").read_text()
SHOWN = "\n".join(text for page in PAGES for text in (*re.findall(r"`([^`\n]+)`", prose(page)), *blocks(page, "bash")))
TARGETS = sorted(set(re.findall(r"\bmake ([a-z][a-z0-9-]*)", SHOWN)))
MODULES = sorted(
    set(
        re.findall(
            r"python -m ((?:orchestration|serving_gateway|triton_models)[\w.]*)",
            SHOWN + MAKEFILE.replace("$(BIN)/", ""),
        )
    )
)


def make(*arguments: str) -> str:
    done = subprocess.run(["make", "-s", *arguments], cwd=ROOT, capture_output=True, text=True, check=True)
    return done.stdout


def test_a_block_of_the_readme_is_run_here_or_by_name_elsewhere() -> None:
    lines = [line for block in blocks(README, "bash") if block not in examples() for line in block.splitlines()]
    assert lines == ["make demo", "make test"]
    assert len(examples()) >= 4


def test_every_shell_block_says_that_it_is_one() -> None:
    """An unmarked fence would be run by no test."""
    assert not re.search(r"^```(?!bash$).+$", README.read_text(), re.MULTILINE)
    assert README.read_text().count("\n```") == 2 * len(blocks(README, "bash"))


@pytest.mark.parametrize("target", TARGETS)
def test_a_target_that_is_named_exists(target: str) -> None:
    assert re.search(rf"^{target}:", MAKEFILE, re.MULTILINE)


# Set-up comes before every other target, so whatever runs has run it.
@pytest.mark.parametrize("target", [target for target in TARGETS if target != "setup"])
def test_a_target_runs_what_a_test_runs(target: str) -> None:
    runs, test = MAKE[target]
    assert runs in make("-n", target)
    path, _, name = test.partition("::")
    assert name in (ROOT / path).read_text() if name else "make test" in (ROOT / path).read_text()


def test_make_test_runs_the_parts_that_are_named() -> None:
    (parts,) = re.findall(r"^test:([^#\n]*)", MAKEFILE, re.MULTILINE)
    assert set(parts.split()) >= {t for t, (_, test) in MAKE.items() if test == ".ci/run"} - {"test"}


def test_make_help_lists_every_target_that_is_named() -> None:
    listed = set(re.findall(r"^  make ([a-z0-9-]+)", make("help"), re.MULTILINE))
    assert set(TARGETS) <= listed


@pytest.mark.integration
def test_make_train_selects_assets_and_days_that_exist() -> None:
    from orchestration.definitions import defs
    from orchestration.defs.common import DAILY
    from orchestration.demo import plan

    recipe = make("-n", "train")
    known = {key.path[-1] for key in defs().resolve_asset_graph().get_all_asset_keys()}
    selected = {name for names in re.findall(r"--select ([\w,]+)", recipe) for name in names.split(",")}
    assert {"training_rows", "champion_model", "baseline_arm"} <= selected <= known
    (first, last) = re.findall(r"--partition-range ([\d-]+)\.\.\.([\d-]+)", recipe)[0]
    assert {first, last} <= set(DAILY.get_partition_keys())
    assert (date.fromisoformat(first), date.fromisoformat(last) + plan.DAY) == plan.INGEST


@pytest.mark.integration
@pytest.mark.parametrize("module", MODULES)
def test_a_module_that_is_named_says_how_to_use_it(module: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", module, "--help"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert f"python -m {module}" in done.stdout
