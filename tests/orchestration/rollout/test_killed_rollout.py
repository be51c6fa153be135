"""A platform that is killed before any write of a trial ends, once it runs again, where it would have ended anyway.

From the shadow over promoted to settled: evidence, rollout state, Dagster's materializations and cursors, MLflow's tags and
alias.
"""

import os
import traceback
from collections.abc import Callable
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path
from typing import Any
from unittest import mock

import dagster as dg
import msgspec
import pytest
import redis

from orchestration.defs.sensors_rollout import ENTRY, mirror_rollout_in_mlflow, record_rollout_changes, rollout_state
from orchestration.rollout.carry_out import carry_out
from orchestration.rollout.evidence_documents import evidence_folder, read_document
from orchestration.rollout.policy import Policy, RolloutPolicy, Step, shipped_policy
from serving_gateway.contracts.rollout import Arm, RolloutState
from serving_gateway.control.steps import begin_trial
from serving_gateway.control.store import RolloutStore
from serving_gateway.control.transitions import first_state, on_trial
from tests.orchestration.rollout.trials import BEGAN, BY, HOUR, PASSED, judged
from tests.servers import MlflowServer
from tests.serving_gateway.support import CONTRACT

pytestmark = pytest.mark.integration
KILLED = 9
SHADOW = Step(weight=0, shadow_fraction=1, hold_hours=24, rows=1, labels=1, needs=["loss"], approval=False)
POLICY = Policy(
    evidence=shipped_policy().evidence,
    rollout=RolloutPolicy(
        automatic=True,
        longest_hours=1_000,
        steps=[SHADOW, msgspec.structs.replace(SHADOW, weight=1, shadow_fraction=0)],
    ),
)


class Life:
    """A process of the platform, which dies before its write number `dies_at`."""

    def __init__(self, home: Path, redis_url: str, dies_at: int = 0) -> None:
        self.home, self.store, self.dies_at, self.writes = home, RolloutStore.connect(redis_url), dies_at, 0

    def run(self) -> None:
        with ExitStack() as stack, dg.DagsterInstance.local_temp(str(self.home / "dagster")) as instance:
            self._watch(stack)
            while (state := self.store.read()) is not None and on_trial(state):
                self._decide(state)
            for sensor in (record_rollout_changes, mirror_rollout_in_mlflow):
                while self._tick(sensor, instance):
                    pass

    def _watch(self, stack: ExitStack) -> None:
        from mlflow import MlflowClient

        for owner, name in (
            (Path, "replace"),  # of a draft by which evidence appears
            (RolloutStore, "write"),
            (MlflowClient, "set_tag"),
            (MlflowClient, "delete_tag"),
            (MlflowClient, "set_registered_model_alias"),
            (dg.DagsterInstance, "report_runless_asset_event"),
            (Path, "write_text"),  # of a cursor
        ):
            write = getattr(owner, name)
            stack.enter_context(mock.patch.object(owner, name, self._counted(write)))

    def _counted(self, write: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*arguments: Any, **named: Any) -> Any:
            self.writes += 1
            if self.writes == self.dies_at:
                os._exit(KILLED)
            return write(*arguments, **named)

        return counted

    def _decide(self, state: RolloutState) -> None:
        assert state.trial is not None
        assert state.trial.step is not None
        at = BEGAN + 100 * HOUR * (state.trial.step + 1)
        folder, now = evidence_folder(self.home / "lake"), datetime.fromisoformat("2026-05-01T00:00:00+00:00")
        carry_out(self.store, judged(state, PASSED, at), POLICY, evidence=folder, actor="test", now=now)

    def _tick(self, sensor: dg.SensorDefinition, instance: dg.DagsterInstance) -> bool:
        """As the daemon does it: evaluate, store the events, move the cursor."""
        cursor = self.home / f"{sensor.name}.cursor"
        context = dg.build_sensor_context(instance=instance, cursor=cursor.read_text() if cursor.exists() else None)
        found = sensor(context)
        if isinstance(found, dg.SkipReason):
            assert found.skip_message == "the rollout has not changed"
            return False
        assert isinstance(found, dg.SensorResult)
        for event in found.asset_events:
            instance.report_runless_asset_event(event)
        cursor.write_text(found.cursor or "")
        return True


def lived(life: Life) -> int:
    """Exit code of a process that lives it; one of its own, as a killed one leaves nothing running behind it."""
    pid = os.fork()
    if not pid:
        code = 1
        try:
            life.run()
            code = 0
        except BaseException:  # noqa: BLE001 - the child must not go on as a second pytest
            traceback.print_exc()
        os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


class World:
    """Version 2 of a model of its own shadows beside version 1, which carries the alias champion."""

    def __init__(self, name: str, home: Path, redis_url: str, mlflow_url: str) -> None:
        from mlflow import MlflowClient

        self.name, self.home, self.redis_url = name, home, redis_url
        self.mlflow = MlflowClient(tracking_uri=mlflow_url)
        with redis.Redis.from_url(redis_url) as client:
            client.flushall()
        self.store = RolloutStore.connect(redis_url)
        self.mlflow.create_registered_model(name)
        self.runs = [self.mlflow.create_run("0").info.run_id for _ in range(2)]
        one, two = (self._arm(number + 1, run) for number, run in enumerate(self.runs))
        self.mlflow.set_registered_model_alias(name, "champion", "1")
        self.store.write(first_state(one, **BY), None)
        shares = {"weight_bp": 0, "shadow_fraction": 1.0, "event_time": BEGAN}
        self.store.change(lambda s: begin_trial(s, two, **shares, **BY))  # type: ignore[arg-type]
        (home / "dagster").mkdir(parents=True)

    def _arm(self, version: int, run: str) -> Arm:
        made = self.mlflow.create_model_version(self.name, f"runs:/{run}/model", run)
        contract = msgspec.structs.replace(CONTRACT, model=self.name, version=made.version, mlflow_run_id=run)
        digest = self.store.put_contract(contract)
        name = f"{self.name}_v{version}"
        return Arm(model=self.name, version=str(version), triton_model=name, contract_digest=digest)

    def life(self, dies_at: int = 0) -> Life:
        return Life(self.home, self.redis_url, dies_at)

    def end(self) -> dict[str, Any]:
        """What stands everywhere, without the names of this world."""
        history = self.store.history()
        folder = evidence_folder(self.home / "lake")
        with dg.DagsterInstance.local_temp(str(self.home / "dagster")) as instance:
            records = instance.fetch_materializations(rollout_state.key, limit=100).records
        made = [record.asset_materialization for record in records]
        assert all(one is not None and ENTRY in one.metadata for one in made)
        tags = [self.mlflow.get_run(run).data.tags for run in self.runs]
        return {
            "audit": [(s.position, s.phase, s.arms.baseline.version, s.trial and s.trial.step) for s in history],
            "evidence": [read_document(folder, s.trial.evidence).decision.kind for s in history if s.trial and s.trial.evidence],
            "documents": len(list(folder.glob("*.json"))),
            "materialized": [one.metadata["generation"].value for one in made if one],
            "decisions": [one.metadata["decision"].value for one in made if one and "decision" in one.metadata],
            "phases": [tag.get("rollout_phase") for tag in tags],
            "shadow": [(tag.get("shadow"), tag.get("shadow_end", "")[:8]) for tag in tags],
            "champion": self.mlflow.get_model_version_by_alias(self.name, "champion").version,
        }  # fmt: skip


END = {
    "audit": [
        ((1, 4), "stable", "2", 1),
        ((1, 3), "promoted", "1", 1),
        ((1, 2), "shadow", "1", 0),
        ((1, 1), "stable", "1", None),
    ],
    "evidence": ["Settle", "GoOn"],
    "documents": 2,
    "materialized": [4, 3, 2, 1],
    "decisions": ["Settle", "GoOn"],
    "phases": ["replaced", "baseline"],
    "shadow": [(None, ""), ("true", "promoted")],
    "champion": "2",
}


@pytest.fixture
def world(
    redis_url: str, mlflow_tracking: MlflowServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[[str], World]:
    monkeypatch.setenv("REDIS_URL", redis_url)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", mlflow_tracking.url)

    def made(name: str) -> World:
        monkeypatch.setenv("PLATFORM_HOME", str(tmp_path / name))
        return World(f"killed_{name}", tmp_path / name, redis_url, mlflow_tracking.url)

    return made


def test_killed_again_and_again_it_comes_to_the_same_end(world: Callable[[str], World]) -> None:
    """One life before its first write, the next before its second, until one lives to the end."""
    one = world("again")
    deaths = next(deaths for deaths in range(100) if lived(one.life(dies_at=deaths + 1)) != KILLED)
    assert deaths >= 5
    assert one.end() == END


@pytest.mark.full
def test_wherever_it_is_killed_it_ends_where_it_would_have_ended(world: Callable[[str], World]) -> None:
    """A world of its own for each write before which it is killed."""
    calm = world("never")
    assert lived(calm.life()) == 0
    assert calm.end() == END
    for dies_at in range(1, 100):
        one = world(str(dies_at))
        code = lived(one.life(dies_at))
        assert code in {0, KILLED}
        if code == 0:
            break
        assert lived(one.life()) == 0
        assert one.end() == END, f"killed before write {dies_at}"
    assert dies_at > 15, "every kind of write was met"
