"""Retiring on a real Triton and a real rollout store."""

import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest
import redis

from orchestration.publishing import registered, retirement
from orchestration.publishing.publish import PublishError, publish, unpublish
from orchestration.publishing.repository import Repository
from orchestration.publishing.retirement import Retired, RetirementError, retire
from orchestration.rollout.act import serve_baseline, serve_canary
from orchestration.settings import Settings
from orchestration.training.contract import triton_name
from serving_gateway.contracts import ModelContract
from serving_gateway.contracts.rollout import Arm
from serving_gateway.control import keys
from serving_gateway.control.store import Acknowledgement, RolloutStore
from tests.orchestration.publishing.test_publish import golden_of, loaded
from tests.servers import TritonServer, free_port
from tests.synthetic import synthetic_model

pytestmark = pytest.mark.integration
V = [f"flight_delay_v{version}" for version in range(6)]


def contract_of(version: int) -> ModelContract:
    return msgspec.structs.replace(synthetic_model().contract, version=str(version))


def arm_of(version: int) -> Arm:
    contract = contract_of(version)
    return Arm(
        model=contract.model,
        version=contract.version,
        triton_model=triton_name(contract),
        contract_digest=contract.digest,
    )


@pytest.fixture
def store(redis_url: str) -> RolloutStore:
    return RolloutStore.connect(redis_url)


@pytest.fixture
def repository(triton: TritonServer, triton_home: Path) -> Iterator[Repository]:
    """Versions 1 to 4 stand in the manifest and on disk; a server may have loaded them or not."""
    found, model = Repository.of(Settings(home=triton_home)), synthetic_model()
    with found.locked():
        for version in range(1, 5):
            found.install(V[version], contract_of(version), model.onnx)
        found.set_published(V[1:5])
    yield found
    for name in found.names():
        unpublish(name, repository=found, grpc=triton.grpc)


def serve(store: RolloutStore, version: int, *, canary: bool = False) -> None:
    store.put_contract(contract_of(version))
    now = datetime(2026, 1, 1, tzinfo=UTC)
    if canary:
        serve_canary(store, arm_of(version), weight=0.1, shadow_fraction=0, actor="test", now=now)
    else:
        serve_baseline(store, arm_of(version), actor="test", now=now)


def acknowledge(redis_url: str, *, generation: int, age_s: float = 0) -> None:
    with redis.Redis.from_url(redis_url) as client:
        seconds, _ = client.time()  # type: ignore[misc]
        said = Acknowledgement("gateway", 1, generation, 0, seen_at=seconds - age_s)
        client.hset(keys.ACKS, "gateway", msgspec.json.encode(said))


def retired(repository: Repository, store: RolloutStore, triton: TritonServer, *, keep: int = 0) -> Retired:
    return retire(repository, store, lambda: {V[4]}, grpc=triton.grpc, keep=keep)


def test_what_nobody_names_is_gone_from_manifest_server_and_disk(
    triton: TritonServer, repository: Repository, store: RolloutStore
) -> None:
    model = synthetic_model()
    for version in (1, 2, 4):
        publish(contract_of(version), model.onnx, golden_of(model), repository=repository, grpc=triton.grpc)
    serve(store, 2)
    assert retired(repository, store, triton) == Retired([V[1], V[3]], [V[2], V[4]])
    assert repository.published() == loaded(triton.http) == [V[2], V[4]]
    assert sorted(path.name for path in repository.models.iterdir()) == [V[2], V[4]]
    assert retired(repository, store, triton).names == []


def test_the_baseline_before_and_the_canary_of_a_trial_stay(
    triton: TritonServer, repository: Repository, store: RolloutStore
) -> None:
    serve(store, 1)
    serve(store, 2)
    serve(store, 3, canary=True)
    assert retired(repository, store, triton).names == []
    serve(store, 4)  # ends the trial, and 2 is now the one before
    assert retired(repository, store, triton).names == [V[1], V[3]]


def test_what_a_killed_publish_left_on_disk_is_retired_too(
    triton: TritonServer, repository: Repository, store: RolloutStore
) -> None:
    serve(store, 4)
    repository.set_published([V[4]])
    assert retired(repository, store, triton, keep=1).names == [V[1], V[2]]
    assert repository.names() == [V[3], V[4]]


def test_a_gateway_that_still_serves_an_older_generation_does_not_lose_its_model(
    triton: TritonServer, repository: Repository, store: RolloutStore, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retirement, "CONVERGENCE_TIMEOUT_S", 0.2)
    for version in (1, 2, 3):
        serve(store, version)
    acknowledge(redis_url, generation=1)
    with pytest.raises(RetirementError, match="still serve an older generation: gateway"):
        retired(repository, store, triton)
    assert repository.published() == V[1:5]

    acknowledge(redis_url, generation=1, age_s=60)  # fell silent: it may serve on
    kept = retired(repository, store, triton)
    assert kept.names == []
    (line,) = kept.silent
    assert line.startswith("gateway fell silent at epoch 1, generation 1; the models that it may serve are kept")
    assert line.endswith(f"HDEL '{keys.ACKS}' 'gateway'")
    acknowledge(redis_url, generation=3)
    assert retired(repository, store, triton).names == [V[1]]


def test_without_a_rollout_state_nothing_is_retired(
    triton: TritonServer, repository: Repository, store: RolloutStore
) -> None:
    """A store that was flushed names no arm, and gateways go on serving theirs."""
    with pytest.raises(RetirementError, match="no rollout state stands"):
        retired(repository, store, triton)
    assert repository.published() == V[1:5]


def test_an_arm_that_is_named_while_retirement_waits_keeps_its_model(
    triton: TritonServer, repository: Repository, store: RolloutStore
) -> None:
    """Naming holds the publishing lock, so that retirement decides before it, or after it has been seen."""
    serve(store, 4)
    found: list[Retired] = []
    retiring = threading.Thread(target=lambda: found.append(retired(repository, store, triton)))
    with repository.locked():
        retiring.start()
        assert V[1] in repository.published()
        serve(store, 1)
        assert not found
    retiring.join(60)
    assert found == [Retired([V[2], V[3]], [V[1], V[4]])]
    assert repository.published() == [V[1], V[4]]


def test_mlflow_is_asked_without_the_lock_and_what_is_published_meanwhile_stays(
    triton: TritonServer, repository: Repository, store: RolloutStore
) -> None:
    serve(store, 4)
    model = synthetic_model()

    def slow_answer() -> set[str]:
        with repository.locked(timeout_s=1):
            repository.install(V[5], contract_of(5), model.onnx)
        return set()

    assert retire(repository, store, slow_answer, grpc=triton.grpc, keep=0).names == V[1:4]
    assert repository.names() == V[4:6]


@pytest.mark.parametrize("field", ["state", "other"])
def test_whatever_hinders_retirement_a_published_model_is_published_and_a_warning_says_what_to_do(
    repository: Repository, store: RolloutStore, redis_url: str, monkeypatch: pytest.MonkeyPatch, field: str
) -> None:
    monkeypatch.setenv("REDIS_URL", redis_url)
    monkeypatch.setattr(registered, "aliased", lambda _settings: set())
    serve(store, 4)
    with redis.Redis.from_url(redis_url) as client:
        client.xadd(keys.AUDIT, {field: "{"})
    warnings: list[str] = []
    settings = Settings(home=repository.models.parents[1])

    assert registered.retired_or_why_not(settings, warnings.append).startswith(f"none: {keys.AUDIT} ")

    (warning,) = warnings
    assert "is unreadable" in warning
    assert warning.endswith("Mend that, then run the job retire_models")
    assert repository.published() == V[1:5]


def test_requests_that_began_by_the_state_before_are_waited_for(
    store: RolloutStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits: list[float] = []
    monkeypatch.setattr(retirement.time, "sleep", waits.append)
    serve(store, 4)
    state = store.read()
    assert state is not None
    retirement._let_requests_end(state, datetime(2026, 1, 1, 0, 0, 3, tzinfo=UTC), 10.0)
    retirement._let_requests_end(state, datetime(2026, 1, 2, tzinfo=UTC), 10.0)
    retirement._let_requests_end(state, datetime(2025, 1, 1, tzinfo=UTC), 10.0)  # another host's clock is ahead
    assert waits == [7.0, 0.0, 10.0]


def test_without_a_server_the_manifest_is_changed_and_a_second_try_finishes(
    triton: TritonServer, repository: Repository, store: RolloutStore
) -> None:
    serve(store, 4)
    nobody = f"127.0.0.1:{free_port()}"
    with pytest.raises(PublishError, match=f"{V[1]} is off the manifest but was not unloaded"):
        retire(repository, store, set, grpc=nobody, keep=0, timeout_s=1)
    assert repository.published() == [V[4]]
    assert retired(repository, store, triton).names == V[1:4]
    assert repository.names() == [V[4]]
