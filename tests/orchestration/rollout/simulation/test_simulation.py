"""A small simulation: the same as the full one, with fewer runs and requests."""

import json
from pathlib import Path

import numpy as np
import pytest

from orchestration.rollout.policy import shipped_policy
from orchestration.rollout.simulation.__main__ import main
from orchestration.rollout.simulation.experiments import EXPERIMENTS, Material
from orchestration.rollout.simulation.report import BEGIN, END, figures, section, upper_bound, write_section
from orchestration.rollout.simulation.run import Results, simulate

POLICY = shipped_policy().evidence
RUNS, REQUESTS, SEED = 100, 2000, 5


@pytest.fixture(scope="module")
def results(material: Material) -> Results:
    return simulate(material, runs=RUNS, seed=SEED, workers=1)


def test_innocent_canaries_are_stopped_no_more_often_than_the_policy_says(results: Results) -> None:
    found = figures(results, runs=RUNS, requests=REQUESTS, seed=SEED)
    assert found["aa_stop_rate"] <= POLICY.alpha + 0.03
    assert found["stopped_in_shared_trouble"] <= POLICY.alpha_trouble + 0.06
    assert max(found["false_promotion"].values()) <= POLICY.alpha_pass + 0.05


def test_faults_are_found_soon(results: Results) -> None:
    medians = figures(results, runs=RUNS, requests=REQUESTS, seed=SEED)["median_requests"]
    assert medians["errors"] <= 650
    assert medians["latency"] <= 260
    assert medians["score"] <= 600
    assert medians["auc_labels"] is None or medians["auc_labels"] <= 2000


def test_faults_that_begin_late_are_found_too(results: Results) -> None:
    medians = figures(results, runs=RUNS, requests=REQUESTS, seed=SEED)["median_requests_of_late_faults"]
    assert medians["latency"] <= 500
    assert medians["score"] <= 600


def test_the_others_stop_more_innocents(results: Results) -> None:
    innocent = results["innocent"]
    ours = np.isfinite(innocent["latency"]).mean()
    for name in ("z_latency", "z_score", "ks_latency", "flagger_errors"):
        assert np.isfinite(innocent[name]).mean() > ours + 0.1, name


@pytest.mark.integration  # it starts processes
def test_the_same_seed_gives_the_same_figures_on_however_many_cores(material: Material) -> None:
    one, two = (simulate(material, runs=12, seed=1, workers=workers) for workers in (1, 2))
    assert one.keys() == two.keys() == set(EXPERIMENTS)
    for name, methods in one.items():
        for method, stops in methods.items():
            assert stops.shape == (12,)
            assert np.array_equal(stops, two[name][method]), (name, method)


def test_the_figures_are_what_machines_expect(results: Results) -> None:
    found = json.loads(json.dumps(figures(results, runs=RUNS, requests=REQUESTS, seed=SEED), allow_nan=False))
    assert list(found)[:2] == ["aa_stop_rate", "median_requests"]
    assert list(found["median_requests"]) == ["errors", "latency", "score", "auc_labels"]


@pytest.mark.parametrize(("stopped", "runs", "bound"), [(0, 100, 0.0295), (5, 100, 0.1023), (30, 1000, 0.0405)])
def test_the_upper_bound_is_clopper_and_pearsons(stopped: int, runs: int, bound: float) -> None:
    assert upper_bound(stopped / runs, runs) == pytest.approx(bound, abs=1e-4)
    assert upper_bound(1.0, runs) == 1.0


def test_the_section_replaces_itself_and_nothing_else(tmp_path: Path, results: Results) -> None:
    page = tmp_path / "docs" / "evidence.md"
    text = section(results, POLICY, runs=RUNS, requests=REQUESTS, seed=SEED)
    assert "| the real stream |" in text
    write_section(page, text)
    page.write_text(f"before\n\n{page.read_text()}\nafter\n")
    write_section(page, "shorter")
    assert page.read_text() == f"before\n\n# Evidence\n\n{BEGIN}\n\nshorter\n\n{END}\n\nafter\n"


@pytest.mark.parametrize("arguments", [["--runs", "0"], ["--runs", "x"], ["--seed", "-1"], ["--unknown"]])
def test_what_is_no_option_is_refused(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as refused:
        main(arguments)
    assert refused.value.code == 2


def test_without_flights_the_command_says_which_table_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PLATFORM_HOME", str(tmp_path))
    monkeypatch.setenv("FLIGHTS_SOURCE", str(tmp_path))
    assert main(["--runs", "1"]) == 1
    assert "flights.csv" in capsys.readouterr().err
    assert not (tmp_path / "backtest").exists()


@pytest.mark.full
def test_the_full_simulation_meets_its_marks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PLATFORM_HOME", str(tmp_path))
    output = tmp_path / "simulation.json"
    assert main(["--output", str(output), "--page", str(tmp_path / "evidence.md")]) == 0
    found = json.loads(output.read_text())
    assert found["aa_upper_bound"] <= POLICY.alpha + 0.01
    assert found["stopped_in_shared_trouble"] <= POLICY.alpha_trouble + 0.02
    assert max(found["false_promotion"].values()) <= POLICY.alpha_pass + 0.015
    marks = {"errors": 550, "latency": 260, "score": 600, "auc_labels": 1800}
    assert {name: median for name, median in found["median_requests"].items() if median > marks[name]} == {}
    late = found["median_requests_of_late_faults"]
    assert {name: late[name] for name in marks if late[name] > 5 * marks[name]} == {}
