"""A platform that serves and logs is backed up, destroyed and restored elsewhere: real servers, nothing held still."""

import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import ModuleType
from typing import Any

import msgspec
import polars as pl
import pytest
import redis

from orchestration.backup.create import create
from orchestration.backup.manifest import Manifest
from orchestration.backup.restore import restore
from orchestration.embedded.claim import claim
from orchestration.embedded.environment import prepare
from orchestration.embedded.start_checks import check_versions
from orchestration.features.live.base import Base
from orchestration.features.live.journal import Journal, Record
from orchestration.ingestion.partitions import midnight
from orchestration.ingestion.predictions import land, read_predictions
from orchestration.notices import journal as notices
from orchestration.notices.notice import Notice
from orchestration.publishing.repository import Repository
from orchestration.settings import Settings
from orchestration.training.contract import build_contract, triton_name
from orchestration.training.gates import Bound, GateResult, Judged
from orchestration.training.registry import fetch_alias, register
from serving_gateway.contracts import Input, ModelContract, PredictionRecord, RequestField
from serving_gateway.contracts.prediction_log import encode_record
from serving_gateway.control import keys
from serving_gateway.control.store import RolloutStore
from serving_gateway.log.spool import Spool
from tests.servers import free_port, mlflow_server, redis_server, triton_server
from tests.serving_gateway.support import (
    EVENT_TIME,
    EVENT_TIME_US,
    GatewayProcess,
    gateway_process,
    publish_state,
    put_all_views,
    state_of,
    wait_for,
)
from tests.synthetic import START, synthetic_inputs, synthetic_model, synthetic_rows

pytestmark = [pytest.mark.integration, pytest.mark.full]
SECRETS = {
    "ADMIN_TOKEN": "t0ken-of-the-admins",
    "SLACK_WEBHOOK_URL": "http://127.0.0.1:9/hooks/s3cret-of-slack",
}
KEY = "k3y-of-a-caller"
DAY = EVENT_TIME.date()
BASE = Base(id="b1", as_of_us=EVENT_TIME_US, position="0-0", set_at_us=1, rewind=False)
RECORDS = [Record(id=f"{n}-0", watermark_us=EVENT_TIME_US + n) for n in range(1, 50)]
PASSED = GateResult((Judged("auc", 0.8, Bound(min=0.7), ok=True),))


def given() -> dict[str, object]:
    """The features of one row, as a caller gives them."""
    return {name: value for name, value in synthetic_rows(1).row(0, named=True).items() if name in _names()}


def contract_of(version: str, run_id: str) -> ModelContract:
    """The synthetic model's, its inputs sent by the caller."""
    inputs = tuple(
        Input(name=i.name, dtype=i.dtype, vocabulary=i.vocabulary, source=RequestField(i.name))
        for i in synthetic_inputs()
    )
    window = {"training_start": START, "training_end": START + timedelta(days=10)}
    return build_contract(synthetic_model().onnx, version=version, run_id=run_id, inputs=inputs, views=(), **window)


@dataclass
class Platform:
    """Servers over one home, as the supervisor would run them."""

    settings: Settings
    gateway: GatewayProcess
    mlflow: ModuleType
    redis: redis.Redis
    store: RolloutStore
    answered: list[str] = field(default_factory=list)

    def predict(self) -> dict[str, Any]:
        answer = self.gateway.predict({"features": given()}, **{"x-api-key": KEY, "authorization": f"Bearer {KEY}"})
        assert answer.status_code == 200, answer.text
        prediction: dict[str, Any] = answer.json()["predictions"][0]
        self.answered.append(prediction["prediction_id"])
        return prediction

    def land(self) -> None:
        land(self.redis, self.settings.lake)

    def known(self) -> dict[bytes, bytes]:
        """Every document in Redis that stands still while a platform serves, as Redis writes it down."""
        moving = {name.encode() for name in (keys.ACKS, keys.PREDICTIONS, keys.LANDED, keys.LIFE)}
        return {key: self.redis.dump(key) for key in self.redis.scan_iter() if key not in moving}  # type: ignore[misc]


@contextmanager
def platform(home: Path, *, fill: Callable[[Settings, ModuleType], None]) -> Iterator[Platform]:
    """`fill` is called between MLflow's start and Triton's, which loads what is published by then."""
    import mlflow

    settings = Settings(home=home, redis_port=(port := free_port()))
    with ExitStack() as running:
        running.enter_context(claim(home))
        check_versions(settings)
        prepare(settings)
        (home / "caller-keys").write_text(f"caller:{KEY}\n")
        server = running.enter_context(redis_server(home / "redis", "--appendonly", "yes", port=port))
        mlflow.set_tracking_uri(running.enter_context(mlflow_server(home)).url)
        running.callback(mlflow.set_tracking_uri, None)
        fill(settings, mlflow)
        triton = running.enter_context(triton_server(home))
        given = {**SECRETS, "API_KEYS_FILE": str(home / "caller-keys")}
        gateway = running.enter_context(gateway_process(home, server.url, triton.http, **given))
        client = running.enter_context(redis.Redis.from_url(server.url))
        yield Platform(settings, gateway, mlflow, client, RolloutStore.connect(server.url))


def train(settings: Settings, mlflow: ModuleType) -> None:
    """A registered and published champion, a run of Dagster's, a day in the lake, events, a notice."""
    import dagster as dg

    mlflow.set_experiment("training")
    with mlflow.start_run():
        described = {"tags": {"recipe": "lightgbm"}, "description": "synthetic"}
        contract = register(mlflow, synthetic_model().onnx, contract_of, alias="champion", gates=PASSED, **described)
    repository = Repository.of(settings)
    repository.install(triton_name(contract), contract, synthetic_model().onnx)
    repository.set_published([triton_name(contract)])
    (settings.lake / "raw" / "flights").mkdir(parents=True)
    pl.DataFrame({"n": [1, 2]}).write_parquet(settings.lake / "raw" / "flights" / "day=2013-05-01.parquet")
    with Journal(settings.event_journal) as journal:
        journal.begin(BASE, RECORDS)
    told = {"title": "told", "text": "once", "link": "http://127.0.0.1/"}
    notices.append(settings.notices, Notice(severity="SEV3", time=datetime.now(UTC), **told))  # type: ignore[arg-type]

    @dg.asset
    def champion() -> dg.MaterializeResult[None]:
        return dg.MaterializeResult(metadata={"version": contract.version})

    with dg.DagsterInstance.from_config(str(settings.home / "dagster")) as instance:
        assert dg.materialize([champion], instance=instance).success


def runs(home: Path) -> dict[str, Any]:
    """Run id to what it materialized, from Dagster's storage under a home."""
    import dagster as dg

    with dg.DagsterInstance.from_config(str(home / "dagster")) as instance:
        found = {}
        for run in instance.get_runs():
            events = instance.all_logs(run.run_id, of_type=dg.DagsterEventType.ASSET_MATERIALIZATION)
            (told,) = [event.asset_materialization for event in events]
            assert told is not None
            found[run.run_id] = (run.status, told.metadata["version"].value)
        return found


def in_bytes(folder: Path, text: str) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file() and text.encode() in path.read_bytes()]


def test_a_platform_comes_back_elsewhere_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("REDIS_URL", "FEATURES_REDIS_URL", "REPORTS_PATH", "INCIDENTS_PATH", "SLACK_WEBHOOK_URL_FILE"):
        monkeypatch.delenv(name, raising=False)
    for name, secret in SECRETS.items():
        monkeypatch.setenv(name, secret)
    home, elsewhere = tmp_path / "home", tmp_path / "else where" / "home"
    with platform(home, fill=train) as before:
        champion = fetch_alias(before.mlflow, "champion")
        put_all_views(before.redis)
        publish_state(before.settings.redis_url, state_of(champion.contract), champion.contract)
        wait_for(lambda: before.gateway.health()["generation"] == 1)
        first = before.predict()
        before.land()
        before.predict()
        away = Spool(home / "gateway" / "spool", "away", max_bytes=1 << 20)  # a gateway whose Redis does not answer
        record = msgspec.structs.replace(template(before), prediction_id="0" * 8 + "-never-shipped")
        assert away.append([encode_record(record)])
        expected = (before.store.history(), before.known(), runs(home))
        acknowledged = [*before.answered, record.prediction_id]
        manifest, backup = backed_up_under_load(before, tmp_path / "backups")
        away.close()
    assert in_bytes(home, "s3cret-of-slack")
    secrets = ("t0ken-of-the-admins", "s3cret-of-slack", KEY)
    assert [secret for secret in secrets if in_bytes(backup, secret)] == []
    assert manifest.left_out["caller-keys"] == "none of the platform's"
    shutil.rmtree(home)

    restore(backup, elsewhere)
    with platform(elsewhere, fill=lambda *_: None) as after:
        wait_for(lambda: after.gateway.health()["generation"] == 1)
        assert (after.store.history(), after.known(), runs(elsewhere)) == expected
        assert after.predict() | {"prediction_id": ""} == first | {"prediction_id": ""}
        assert fetch_alias(after.mlflow, "champion") == champion
        wait_for(lambda: not lost(after, acknowledged), timeout_s=30)
    with Journal(Settings(home=elsewhere).event_journal) as journal:
        assert (journal.base, list(journal.records())) == (BASE, RECORDS)
    assert [notice.title for notice in notices.read(Settings(home=elsewhere).notices).notices] == ["told"]
    assert pl.read_parquet(elsewhere / "lake" / "raw" / "flights" / "day=2013-05-01.parquet")["n"].to_list() == [1, 2]


def backed_up_under_load(running: Platform, folder: Path) -> tuple[Manifest, Path]:
    """A backup made while predictions are answered, shipped and landed."""
    from orchestration.backup.manifest import verify

    done = threading.Event()

    def serve() -> None:
        while not done.is_set():
            running.predict()
            running.land()

    load = threading.Thread(target=serve)
    load.start()
    try:
        so_far = len(running.answered)
        wait_for(lambda: len(running.answered) > so_far + 5)
        made = create(running.settings, folder)
    finally:
        done.set()
        load.join()
    return verify(made), made


def lost(running: Platform, wanted: list[str]) -> set[str]:
    """Predictions that are not in the lake, after all that is in the stream has landed."""
    running.land()
    found = read_predictions(running.settings.lake, midnight(DAY), midnight(DAY) + timedelta(days=1))
    return set(wanted) - set(found["prediction_id"])


def template(running: Platform) -> PredictionRecord:
    """A record as the gateway makes it."""
    [state] = running.store.history()
    arm = state.arms.baseline
    return PredictionRecord(
        prediction_id="",
        request_id="",
        event_time_us=EVENT_TIME_US,
        served_at_us=EVENT_TIME_US,
        arm="baseline",
        model=arm.model,
        model_version=arm.version,
        triton_model=arm.triton_model,
        contract_digest=arm.contract_digest,
        epoch=1,
        generation=1,
        entities={},
        vector=[],
        score=0.5,
        decision=True,
        latency_us=1,
    )


def _names() -> set[str]:
    return {i.name for i in synthetic_inputs()}
