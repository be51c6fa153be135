"""The commands that the README shows, and the test that runs each."""

import re
from pathlib import Path

from orchestration.settings import Settings
from tests.docs.markdown import README, blocks

# Target of make -> (what its recipe runs, the test that runs this).
MAKE = {
    "demo": ("-m orchestration.demo", "tests/e2e/demo/test_demo.py::test_the_demo_tells_the_story"),
    "up": ("-m orchestration.embedded", "tests/e2e/test_embedded.py::test_it_comes_up_prints_addresses_and_leaves_no_process"),
    "serve": ("-m serving_gateway", "tests/serving_gateway/test_make_serve.py::test_the_split_is_there_before_the_gateway_and_a_rollback_outlives_it"),
    "train": ("dagster asset materialize", "tests/e2e/test_make_train.py::test_a_champion_is_trained_and_judged_without_a_platform_that_is_up"),
    "test-regression": ("-m regression tests/regression", "tests/e2e/test_regression_gate.py::test_the_target_passes_a_good_champion_and_leaves_both_reports"),
    "doctor": ("-m orchestration.doctor", "tests/e2e/test_runbook_commands.py::test_a_command_shows_what_the_runbook_says"),
    "compose-up": ("docker compose up", "tests/containers/test_compose_targets.py::test_with_an_engine_make_starts_and_stops_the_containers"),
    "compose-down": ("docker compose --profile", "tests/containers/test_compose_targets.py::test_with_an_engine_make_starts_and_stops_the_containers"),
    "backup": ("-m orchestration.backup create", "tests/orchestration/backup/test_backup_verify.py::test_the_command_line_makes_lists_verifies"),
    "restore": ("-m orchestration.backup restore", "tests/orchestration/backup/test_restore.py::test_the_command_line_restores_into_platform_home"),
    "backtest": ("-m orchestration.backtest", "tests/orchestration/backtest/test_backtest_year.py::test_the_year_reaches_its_targets"),
    "simulate": ("-m orchestration.rollout.simulation", "tests/orchestration/rollout/simulation/test_simulation.py::test_the_full_simulation_meets_its_marks"),
    "bench": ("-m tests.bench.features", "tests/bench/test_bench_features_smoke.py::test_reads_and_joins_are_measured_and_what_was_started_is_stopped"),
    "bench-gateway": ("-m tests.bench.gateway", "tests/bench/test_bench_smoke.py::test_the_gateway_is_measured_and_what_was_started_is_stopped"),
    "bench-features": ("-m tests.bench.features", "tests/bench/test_bench_features_smoke.py::test_reads_and_joins_are_measured_and_what_was_started_is_stopped"),
    "screenshots": ("-m tests.e2e.screenshots", "tests/e2e/demo/test_screenshots.py::test_the_asset_graph_is_photographed_with_all_its_assets"),
    "help": ("awk", "tests/docs/test_commands.py::test_make_help_lists_every_target_that_is_named"),
    "test": ("pytest", ".ci/run"),
    "check": ("lint-imports", ".ci/run"),
    "test-unit": ("pytest", ".ci/run"),
    "test-integration": ("pytest", ".ci/run"),
    "test-e2e": ("pytest", ".ci/run"),
    "test-full": ("pytest", "tests/e2e/test_make_train.py::test_a_champion_is_trained_and_judged_without_a_platform_that_is_up"),
}  # fmt: skip


def examples() -> list[str]:
    """Every shell block of the README that is not made of make targets alone: tests/e2e/demo/test_readme.py runs each."""
    made = {f"make {target}" for target in MAKE}
    return [block for block in blocks(README, "bash") if not set(block.splitlines()) <= made]


def addresses(page: Path = README) -> list[str]:
    """Every address of a running platform that a page says to look at."""
    return sorted(set(re.findall(r"<(http://[^>]+)>", page.read_text())))


def on_ports_of(settings: Settings, text: str) -> str:
    """`text` with the addresses of the defaults replaced by those of a running platform."""
    ports = {str(port): str(getattr(settings, name)) for name, port in Settings.port_defaults().items()}
    return re.sub(r"(://(?:127\.0\.0\.1|localhost):)(\d+)", lambda found: found[1] + ports[found[2]], text)
