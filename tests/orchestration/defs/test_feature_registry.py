"""Definitions that would break a served model are refused before anything is applied: real Feast, Redis and Dagster."""

import re
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from orchestration.defs import features
from orchestration.defs.features import CONTRACTS_CHECK, feature_registry
from orchestration.features.layout import read_layouts
from orchestration.features.store import DEFINITIONS, open_store
from orchestration.features.views import VIEWS
from orchestration.settings import Settings
from serving_gateway.contracts.model import ModelContract
from serving_gateway.contracts.rollout import Arm
from serving_gateway.control.store import RolloutStore
from serving_gateway.control.transitions import first_state
from tests.feature_contracts import contract_over
from tests.servers import ROOT, free_port

pytestmark = pytest.mark.integration

REPO = ROOT / "feature_repo"
MODEL = "flight_delay:3"
TTL = (DEFINITIONS, "timedelta(hours=3)", "timedelta(hours=6)")
LISTED = "the view in feature service flight_delay is"
MORE = (DEFINITIONS, '"w_dpress")', '"w_dpress", "w_temp")')
UNREADABLE = (DEFINITIONS, 'Field(name="last_arr_at", dtype=Int64)', 'Field(name="last_arr_at", dtype=Bool)')


def registry(accept: list[str] | None = None) -> dg.ExecuteInProcessResult:
    config = {"ops": {"feature_registry": {"config": {"accept_breaking": accept or []}}}}
    return dg.materialize([feature_registry], run_config=config, raise_on_error=False)


def check_of(done: dg.ExecuteInProcessResult) -> Any:
    (check,) = done.get_asset_check_evaluations()
    assert (check.check_name, check.blocking) == (CONTRACTS_CHECK, True)
    return check


@pytest.fixture(scope="module")
def applied(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home whose registry and layout are those of our definitions."""
    from orchestration.features.layout import view_layouts, write_layouts
    from orchestration.features.store import apply

    home = tmp_path_factory.mktemp("home")
    settings = Settings(home=home)
    write_layouts(settings.feature_layout, view_layouts(apply(REPO, home, "redis://127.0.0.1:1/0")))
    return home


@pytest.fixture
def home(applied: Path, tmp_path: Path, redis_url: str, monkeypatch: pytest.MonkeyPatch) -> Path:
    shutil.copytree(applied, tmp_path / "home")
    for variable in ("FEAST_REGISTRY", "FEATURES_REDIS_URL"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("REDIS_URL", redis_url)
    monkeypatch.setenv("PLATFORM_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture
def served(home: Path, redis_url: str) -> ModelContract:
    """The baseline reads every view of our definitions."""
    store = RolloutStore.connect(redis_url)
    contract = contract_over(read_layouts(Settings.load().feature_layout), version="3")
    digest = store.put_contract(contract)
    arm = Arm(model="flight_delay", version="3", triton_model="flight_delay_v3", contract_digest=digest)
    store.write(first_state(arm, actor="test", reason="test", now=datetime(2013, 5, 1, tzinfo=UTC)), None)
    return contract


@pytest.fixture
def change(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Let the platform have a copy of the feature repo in which a text is another."""

    def edit(file: str, ours: str, other: str) -> Path:
        repo = tmp_path / "feature_repo"
        shutil.copytree(REPO, repo)
        text = (repo / file).read_text()
        changed, times = re.subn(ours if ours.startswith("(?") else re.escape(ours), other, text)
        assert times, f"{ours} is not in {file}"
        (repo / file).write_text(changed)
        monkeypatch.setattr(features, "FEATURE_REPO", repo)
        return repo

    return edit


def kept(home: Path) -> dict[str, bytes]:
    """Registry and layout, byte by byte."""
    return {path.name: path.read_bytes() for path in sorted((home / "feast").iterdir())}


@pytest.fixture
def untouched(home: Path) -> Iterator[None]:
    before = kept(home)
    assert {"layout.json", "registry.sqlite"} <= set(before)
    yield
    assert kept(home) == before


REFUSED: dict[str, tuple[tuple[str, str, str], str]] = {
    "ttl": (TTL, "origin_weather: ttl is 10800 s, would be 21600 s"),
    "dtype": (
        (DEFINITIONS, 'Field(name="last_arr_at", dtype=Int64)', 'Field(name="last_arr_at", dtype=Float32)'),
        "tail_arrivals: dtype of last_arr_at is int64, would be float",
    ),
    "renamed feature": (
        (DEFINITIONS, '"w_visib"', '"w_visibility"'),
        "origin_weather: feature w_visib is float, would be missing",
    ),
    "removed view": (
        (DEFINITIONS, r"(?ms)^tail_departures = _view\(.*?^\)\n|^ +tail_departures,\n", ""),
        f"tail_departures: {LISTED} read for last_dep_at, r_tail_last_dep_delay, would be missing",
    ),
    "left out of the service": (
        (DEFINITIONS, r"(?m)^ +dest_arrivals,\n", ""),
        f"dest_arrivals: {LISTED} read for e_dest_arr_ewm3h_late, e_dest_arr_ewm3h_mean, would be left out of the service",
    ),
    "join keys": (
        (DEFINITIONS, '"carrier_arrivals",\n    [carrier],', '"carrier_arrivals",\n    [dest],'),
        "carrier_arrivals: join keys is carrier, would be dest",
    ),
    "project": (
        ("feature_store.yaml", "project: drift", "project: other"),
        "every view: project, with which every key ends, is drift, would be other",
    ),
}


@pytest.mark.parametrize(("edit", "breach"), REFUSED.values(), ids=REFUSED)
def test_what_breaks_the_served_model_is_refused_by_name_and_nothing_is_changed(
    served: ModelContract, untouched: None, change: Any, edit: tuple[str, str, str], breach: str
) -> None:
    change(*edit)
    done = registry(accept=["flight_delay:2"])
    assert not done.success
    check = check_of(done)
    assert (check.passed, check.severity) == (False, dg.AssetCheckSeverity.ERROR)
    assert f"{MODEL} (baseline) reads {breach}" in check.description
    assert f"`{MODEL}` in accept_breaking" in check.description
    assert {row.data["model"] for row in check.metadata["breaches"].value.records} == {MODEL}
    assert done.get_asset_materialization_events() == []
    failed = done.failure_data_for_node("feature_registry")
    assert failed is not None
    assert breach in failed.user_failure_data.description


def test_a_break_that_was_accepted_by_name_is_applied_with_a_warning(
    served: ModelContract, home: Path, change: Any
) -> None:
    repo = change(*TTL)
    done = registry(accept=[MODEL])
    assert done.success
    check = check_of(done)
    assert (check.passed, check.severity) == (True, dg.AssetCheckSeverity.WARN)
    assert f"{MODEL} (baseline) reads origin_weather: ttl" in check.description
    (weather,) = (v for v in read_layouts(Settings.load().feature_layout) if v.name == "origin_weather")
    assert weather.ttl_s == 6 * 3600
    view = open_store(repo, home, "redis://127.0.0.1:1/0").get_feature_view("origin_weather")
    assert view.ttl.total_seconds() == weather.ttl_s


def test_what_is_added_is_applied_for_it_breaks_nobody(served: ModelContract, home: Path, change: Any) -> None:
    change(*MORE)
    done = registry()
    assert done.success
    check = check_of(done)
    assert (check.passed, check.severity) == (True, dg.AssetCheckSeverity.ERROR)
    assert check.description == f"kept for {MODEL} (baseline)"
    stored = {f.name for view in read_layouts(Settings.load().feature_layout) for f in view.features}
    assert "w_temp" in stored


def test_where_nothing_is_served_anything_may_change(home: Path, change: Any) -> None:
    (home / "feast" / "layout.json").unlink()
    change(*TTL)
    done = registry()
    assert done.success
    check = check_of(done)
    assert (check.passed, check.description) == (True, "no model is served: nothing can break")
    (made,) = done.get_asset_materialization_events()
    assert made.step_materialization_data.materialization.metadata["views"].value == len(VIEWS)
    assert len(read_layouts(Settings.load().feature_layout)) == len(VIEWS)


def test_while_it_is_not_known_what_is_served_nothing_is_applied(
    home: Path, untouched: None, change: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    change(*MORE)
    monkeypatch.setenv("REDIS_URL", f"redis://127.0.0.1:{free_port()}/0")
    done = registry(accept=[MODEL])
    assert not done.success
    check = check_of(done)
    assert not check.passed
    assert re.search("cannot be reached.*Start Redis, then materialize feature_registry again", check.description)


def test_definitions_without_the_feature_service_are_refused_though_nothing_is_served(
    home: Path, untouched: None, change: Any
) -> None:
    change(DEFINITIONS, 'name="flight_delay"', 'name="another"')
    done = registry()
    assert not done.success
    assert "no feature service flight_delay" in check_of(done).description


def test_a_type_that_the_gateway_cannot_read_is_named_and_nothing_is_applied(
    home: Path, untouched: None, change: Any
) -> None:
    repo = change(*UNREADABLE)
    definitions = repo / DEFINITIONS
    definitions.write_text(definitions.read_text().replace("import Array, ", "import Array, Bool, "))
    done = registry()
    assert not done.success
    failed = done.failure_data_for_node("feature_registry")
    assert failed is not None
    assert "tail_arrivals:last_arr_at is of the type Bool" in str(failed.error)
