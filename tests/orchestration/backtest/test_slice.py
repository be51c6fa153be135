"""The whole path on a few weeks with small models: real tables, lake, models, course, twins, and what is written."""

import json
from datetime import date
from pathlib import Path

import msgspec
import pytest
from rich.progress import Progress

from orchestration.backtest.__main__ import run, write
from orchestration.backtest.lake import complete
from orchestration.backtest.plan import Plan
from orchestration.backtest.report import BEGIN, END
from orchestration.backtest.results import Results
from orchestration.health.policy import shipped_health_policy
from orchestration.ingestion.partitions import stored_days
from orchestration.rollout.policy import shipped_policy
from orchestration.settings import Settings

pytestmark = [pytest.mark.integration, pytest.mark.full]
PLAN = Plan(start=date(2013, 2, 11), end=date(2013, 4, 1), redrawn=2, dates=1, rounds=40)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("backtest")


@pytest.fixture(scope="module")
def results(home: Path) -> Results:
    health = shipped_health_policy()
    little_past = msgspec.structs.replace(
        health,
        past=msgspec.structs.replace(health.past, fewest_training_days=13),
        thresholds=msgspec.structs.replace(health.thresholds, fewest_windows=3, quantile=0.0),
    )
    with Progress(disable=True) as shown:
        return run(Settings(home=home), PLAN, shipped_policy(), little_past, shown)


def test_the_lake_is_made_and_models_are_kept(results: Results, home: Path) -> None:
    lake = home / "lake"
    assert complete(lake, PLAN.first, PLAN.end)
    assert max(stored_days(lake / "training")) < PLAN.end
    kept = list((home / "backtest" / "models").iterdir())
    assert len(kept) >= len(PLAN.mondays)
    assert results.rules.thresholds.enough


def test_the_platform_lies_between_frozen_and_weekly(results: Results) -> None:
    frozen, _, weekly = results.log_loss
    assert weekly < frozen
    assert [week.first for week in results.weeks] == PLAN.mondays
    rows = [event.what for event in results.events]
    assert rows.count("on trial") == rows.count("retrained") == len(results.retrains)
    for retrain in results.retrains:
        assert (retrain.gain is None) == (retrain.promoted is None)
        assert retrain.promoted is None or retrain.promoted > retrain.asked


def test_a_model_walks_the_steps_before_it_answers_everything(results: Results) -> None:
    assert "promoted" in [event.what for event in results.events]
    for model in {event.model for event in results.events if event.what == "promoted"}:
        walked = [event.what for event in results.events if event.model == model and event.what != "warned"]
        assert walked[:5] == ["retrained", "on trial", "step", "step", "promoted"]


def test_faults_are_caught_by_what_is_made_for_them(results: Results) -> None:
    by = {name: {run.by for run in runs} for name, runs in results.faults.items()}
    assert len(by) == 10
    assert by["frozen features"] == {"freshness"}
    assert by["null burst"] == {"nulls"}
    assert by["label delay"] == {"label watermark"}
    assert by["broken canary"] == {"errors"}
    assert by["slow canary"] == {"latency"}


def test_what_was_found_is_written(results: Results, tmp_path: Path) -> None:
    page = tmp_path / "evidence.md"
    page.write_text(f"{BEGIN}\n{END}\n")
    write(results, tmp_path, page)
    assert json.loads((tmp_path / "summary.json").read_text())["retrains"] == len(results.retrains)
    assert "### Ten faults" in page.read_text()
