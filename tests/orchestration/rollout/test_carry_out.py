"""A decision takes effect on exactly the state that was judged, on a real Redis; its evidence is there before it."""

from pathlib import Path

import pytest

from orchestration.rollout.carry_out import carry_out
from orchestration.rollout.decide import Judged, Wait
from orchestration.rollout.evidence_documents import read_document
from orchestration.rollout.policy import shipped_policy
from serving_gateway.contracts.rollout import RolloutState
from serving_gateway.control.steps import hold
from serving_gateway.control.store import RolloutStore
from tests.orchestration.rollout.trials import BEGAN, BY, HOUR, PASSED, SHADOW, STABLE, judged

pytestmark = pytest.mark.integration
LATER = BEGAN + 30 * HOUR
FOUND = judged(SHADOW, PASSED, LATER)


@pytest.fixture
def store(redis_url: str) -> RolloutStore:
    found = RolloutStore.connect(redis_url)
    found.write(STABLE, None)
    found.write(SHADOW, STABLE)
    return found


def carried(store: RolloutStore, found: Judged, folder: Path) -> tuple[str, RolloutState | None]:
    done = carry_out(store, found, shipped_policy(), evidence=folder, actor="dagster:run", now=BY["now"])  # type: ignore[arg-type]
    return type(done.decision).__name__, done.state


def test_the_state_that_was_judged_goes_on_and_names_its_evidence(store: RolloutStore, tmp_path: Path) -> None:
    kind, state = carried(store, FOUND, tmp_path)
    assert kind == "GoOn"
    assert state is not None
    assert state == store.read()
    assert (state.phase, state.canary_weight_bp, state.actor) == ("canary", 500, "dagster:run")
    assert state.trial is not None
    assert (state.trial.step, state.trial.entered) == (1, LATER.isoformat())
    assert read_document(tmp_path, state.trial.evidence).decision.kind == "GoOn"


def held(state: RolloutState) -> RolloutState | None:
    return hold(state, actor="cli:ada", reason="lunch", now=BY["now"])  # type: ignore[arg-type]


def test_a_state_that_moved_on_is_left_alone(store: RolloutStore, tmp_path: Path) -> None:
    stands = store.change(held)
    assert carried(store, FOUND, tmp_path) == ("Wait", None)
    assert store.read() == stands
    assert list(tmp_path.iterdir()) == []


def test_so_is_another_trial_at_the_same_place(store: RolloutStore, tmp_path: Path) -> None:
    other = Judged(
        trial=type(FOUND.trial)("m_v3", 1, 2), position=(1, 2), baseline="m_v1", event_time=LATER, verdict=PASSED
    )
    assert carried(store, other, tmp_path) == ("Wait", None)
    assert store.read() == SHADOW


def test_and_one_that_moves_while_the_evidence_is_written(
    store: RolloutStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was written then is a document that no state names."""
    write = RolloutStore.write

    def later(self: RolloutStore, new: RolloutState, expected: RolloutState | None) -> None:
        monkeypatch.setattr(RolloutStore, "write", write)
        store.change(held)
        write(self, new, expected)

    monkeypatch.setattr(RolloutStore, "write", later)
    done = carry_out(store, FOUND, shipped_policy(), evidence=tmp_path, actor="a", now=BY["now"])  # type: ignore[arg-type]
    assert isinstance(done.decision, Wait)
    stands = store.read()
    assert stands is not None
    assert stands.trial is not None
    assert (stands.position, stands.trial.held, stands.canary_weight_bp) == ((1, 3), "cli:ada: lunch", 0)
    assert len(list(tmp_path.glob("*.json"))) == 1


def test_nothing_is_decided_where_nothing_is_served(redis_url: str, tmp_path: Path) -> None:
    assert carried(RolloutStore.connect(redis_url), FOUND, tmp_path) == ("Wait", None)
