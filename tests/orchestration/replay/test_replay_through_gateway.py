"""Real flights of a morning replayed through a real gateway, Redis and Triton: every answer is ONNX Runtime's own."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import redis

from orchestration.features.compute import write_features
from orchestration.features.inputs import model_inputs, vectors, vocabularies
from orchestration.features.layout import view_layouts, write_layouts
from orchestration.features.live.base import set_base
from orchestration.features.skew.recompute import skew_of
from orchestration.features.skew.report import SkewReport
from orchestration.features.skew.verdict import judge_skew
from orchestration.features.store import apply
from orchestration.features.training import read_training, write_training
from orchestration.features.views import view_window
from orchestration.ingestion.predictions import land, read_predictions
from orchestration.publishing.publish import Golden, publish, unpublish
from orchestration.publishing.repository import Repository
from orchestration.replay.client import Replay, Tally
from orchestration.replay.feed import Feed, NotAppliedError
from orchestration.replay.timeline import timeline
from orchestration.rollout.act import serve_baseline
from orchestration.settings import ROOT, Settings
from orchestration.training.contract import build_contract
from orchestration.training.lightgbm_onnx import to_onnx
from orchestration.training.lightgbm_recipe import train
from orchestration.training.onnx_model import score
from orchestration.training.recipe import window
from serving_gateway.contracts import ModelContract, ViewLayout
from serving_gateway.contracts.rollout import Arm
from serving_gateway.control.store import RolloutStore
from tests.orchestration.features.lakes import raw_lake
from tests.servers import TritonServer
from tests.serving_gateway.support import GatewayProcess, gateway_process, wait_for
from tests.updaters import updater

pytestmark = pytest.mark.integration
DAY = timedelta(days=1)
FIRST, TODAY = date(2013, 2, 11), date(2013, 2, 13)
MINUTES = 840  # until 13:00 UTC, eight in the morning


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two days to learn from, and the day that is replayed."""
    folder = tmp_path_factory.mktemp("lake")
    raw_lake(folder, FIRST, TODAY + DAY)
    write_features(folder, FIRST, TODAY + DAY)
    write_training(folder, FIRST, TODAY + DAY)
    return folder


@pytest.fixture(scope="module")
def layouts(tmp_path_factory: pytest.TempPathFactory) -> tuple[ViewLayout, ...]:
    """The feature service's, as Feast has it."""
    return view_layouts(apply(ROOT / "feature_repo", tmp_path_factory.mktemp("feast"), "redis://127.0.0.1:1/0"))


@pytest.fixture(scope="module")
def model(lake: Path, layouts: tuple[ViewLayout, ...]) -> tuple[ModelContract, bytes]:
    rows = read_training(lake / "training", FIRST, TODAY)
    inputs = model_inputs(vocabularies(rows))
    start, end = view_window(FIRST, TODAY)
    onnx = to_onnx(train(window(rows, inputs, start=start, end=end), inputs, rounds=30), inputs)
    contract = build_contract(
        onnx, version="1", run_id="0", inputs=inputs, views=layouts, training_start=start, training_end=end
    )
    return contract, onnx


@pytest.fixture
def served(
    model: tuple[ModelContract, bytes], lake: Path, triton: TritonServer, triton_home: Path, redis_url: str
) -> Iterator[RolloutStore]:
    """The model answers everything."""
    contract, onnx = model
    repository, store = Repository.of(Settings(home=triton_home)), RolloutStore.connect(redis_url)
    golden = vectors(read_training(lake / "training", FIRST, FIRST + DAY).head(64), contract.inputs)
    name = publish(contract, onnx, Golden(golden, score(onnx, golden)), repository=repository, grpc=triton.grpc)
    digest = store.put_contract(contract)
    arm = Arm(model=contract.model, version=contract.version, triton_model=name, contract_digest=digest)
    serve_baseline(store, arm, actor="test", now=datetime.now(UTC))
    yield store
    unpublish(name, repository=repository, grpc=triton.grpc)


@pytest.fixture
def gateway(served: RolloutStore, triton: TritonServer, redis_url: str, tmp_path: Path) -> Iterator[GatewayProcess]:
    with gateway_process(tmp_path, redis_url, triton.http) as found:
        wait_for(lambda: found.client.get("/ready").status_code == 200)
        yield found


@pytest.fixture
def feed(lake: Path, model: tuple[ModelContract, bytes], redis_url: str, tmp_path: Path) -> Iterator[Feed]:
    """A way through an updater that has nothing yet but the lake and the layout."""
    (tmp_path / "lake").symlink_to(lake)
    write_layouts(tmp_path / "feast" / "layout.json", model[0].views)
    with updater(tmp_path, redis_url), redis.Redis.from_url(redis_url) as client:
        yield Feed(client, client)


@pytest.fixture
def morning(lake: Path, served: RolloutStore, gateway: GatewayProcess, redis_url: str, feed: Feed) -> Tally:
    """The morning, replayed over an online store that holds what was known when it began."""
    minutes = list(timeline(lake, TODAY, TODAY + DAY))[:MINUTES]
    with pytest.raises(NotAppliedError, match="materialize online_store"):
        feed.require_before(minutes[0].at)
    with redis.Redis.from_url(redis_url) as client:
        set_base(client, client, minutes[0].at, rewind=True)
    feed.require_before(minutes[0].at)
    tally = Replay(gateway.url, served, feed).run(minutes)
    assert len(feed.waits_s) == sum(bool(minute.requests) for minute in minutes)
    with pytest.raises(NotAppliedError, match="the online store is at 2013-02-13 12:59, after 2013-02-12 23:00"):
        feed.require_before(minutes[0].at)
    return tally


def test_a_replay_without_updater_says_what_is_missing(served: RolloutStore, redis_url: str) -> None:
    with redis.Redis.from_url(redis_url) as client:
        set_base(client, client, datetime(2013, 2, 12, 23, tzinfo=UTC), rewind=True)
        feed = Feed(client, client, patience_s=0.1)
        feed.send([], datetime(2013, 2, 12, 23, 1, tzinfo=UTC))
        with pytest.raises(NotAppliedError, match="does the program `updater` run"):
            feed.wait()


def test_every_answer_is_onnx_runtimes_own_on_the_features_of_that_minute(
    morning: Tally, model: tuple[ModelContract, bytes], lake: Path, served: RolloutStore, redis_url: str
) -> None:
    assert not morning.errors
    assert morning.requests == len(morning.scores) > 150
    assert morning.by_arm == {"baseline": morning.requests}

    contract, onnx = model
    rows = read_training(lake / "training", TODAY, TODAY + DAY)
    rows = rows.filter(pl.col("request_id").is_in(list(morning.scores)))
    said = np.array([morning.scores[request_id][1] for request_id in rows["request_id"]])
    np.testing.assert_allclose(said, score(onnx, vectors(rows, contract.inputs)), atol=1e-5)
    assert np.ptp(said) > 0.1  # the model tells flights apart

    report = skew_of_the_log(morning, lake, served, redis_url)
    assert {f.feature for f in report.features} == {i.name for i in contract.inputs}
    assert {(f.rows, f.exact) for f in report.features} == {(morning.requests, morning.requests)}
    assert judge_skew(report).outcome == "pass"


def skew_of_the_log(morning: Tally, lake: Path, served: RolloutStore, redis_url: str) -> SkewReport:
    """What the gateway logged, landed and recomputed offline."""
    with redis.Redis.from_url(redis_url) as client:

        def all_landed() -> bool:
            land(client, lake)
            return read_predictions(lake, *view_window(TODAY, TODAY + DAY)).height == morning.requests

        wait_for(all_landed, timeout_s=20)
    return skew_of(lake, TODAY, served.contract, late_events=lake / "none")
