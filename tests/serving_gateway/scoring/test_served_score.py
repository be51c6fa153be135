"""A real model on a real Triton behind a real gateway: the score served is ONNX Runtime's on the logged vector."""

import math
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import numpy as np
import pytest
import redis

from orchestration.publishing.publish import Golden, publish, unpublish
from orchestration.publishing.repository import Repository
from orchestration.settings import Settings
from orchestration.training.onnx_model import score
from serving_gateway.contracts.model import ModelContract
from serving_gateway.contracts.prediction import PairedRecord, PredictionRecord
from serving_gateway.contracts.prediction_log import StreamBatch
from serving_gateway.control import keys
from tests.servers import TritonServer
from tests.serving_gateway.support import gateway_process, publish_state, state_of, wait_for
from tests.synthetic import SyntheticModel, synthetic_model, synthetic_rows

pytestmark = pytest.mark.integration
N = 60


@pytest.fixture
def models(triton: TritonServer, triton_home: Path) -> Iterator[tuple[SyntheticModel, SyntheticModel]]:
    """Two different models, published."""
    repository = Repository.of(Settings(home=triton_home))
    found = (synthetic_model("11"), synthetic_model("12", seed=8))
    names = []
    for model in found:
        vectors = model.trained.samples.vectors[:50]
        golden = Golden(vectors, score(model.onnx, vectors))
        names.append(publish(model.contract, model.onnx, golden, repository=repository, grpc=triton.grpc))
    yield found
    for name in names:
        unpublish(name, repository=repository, grpc=triton.grpc)


def without_views(contract: ModelContract) -> ModelContract:
    """The contract as given features need it: every input's own value, nothing read from the online store."""
    from serving_gateway.contracts.model import RequestField

    inputs = tuple(msgspec.structs.replace(i, source=RequestField(i.name)) for i in contract.inputs)
    return msgspec.structs.replace(contract, inputs=inputs)


def instances(contract: ModelContract) -> list[dict[str, object]]:
    rows = synthetic_rows(N, seed=3).select(i.name for i in contract.inputs).to_dicts()
    assert any(value is None for row in rows for value in row.values())
    return [{"features": row, "event_time": datetime(2013, 5, 1, tzinfo=UTC).isoformat()} for row in rows]


def records(url: str) -> list[PredictionRecord | PairedRecord]:
    with redis.Redis.from_url(url) as client:
        entries = client.xrange(keys.PREDICTIONS)
    return [r for _, fields in entries for r in StreamBatch.from_fields(fields).decoded()]  # type: ignore[union-attr]


def test_the_score_served_is_the_models_own(
    models: tuple[SyntheticModel, SyntheticModel], triton: TritonServer, redis_url: str, tmp_path: Path
) -> None:
    contracts = [without_views(model.contract) for model in models]
    state = state_of(*contracts, shadow=contracts[1], weight_bp=5000, shadow_fraction=1.0)
    publish_state(redis_url, state, *contracts)
    by_name = {f"flight_delay_v{m.contract.version}": m for m in models}
    with gateway_process(tmp_path, redis_url, triton.http) as gateway:
        wait_for(lambda: gateway.client.get("/ready").status_code == 200)
        asked = instances(contracts[0])
        keyed = [gateway.predict({"instances": [i]}, **{"x-routing-key": str(n)}) for n, i in enumerate(asked)]
        together = gateway.predict({"instances": asked}).json()["predictions"]
        assert all(answer.status_code == 200 for answer in keyed)
        wait_for(lambda: sum(isinstance(r, PredictionRecord) for r in records(redis_url)) == 2 * N)
        logged = {r.prediction_id: r for r in records(redis_url) if isinstance(r, PredictionRecord)}
        wait_for(lambda: sum(isinstance(r, PairedRecord) for r in records(redis_url)) == 2 * N)
    answers = [answer.json()["predictions"][0] for answer in keyed] + together
    assert {a["arm"] for a in answers} == {"control", "canary"}  # at half of the keys for each
    assert any(math.isnan(value) for r in logged.values() for value in r.vector)
    for answer in answers:
        record = logged[answer["prediction_id"]]
        own = score(by_name[record.triton_model].onnx, np.array([record.vector], dtype=np.float32))
        assert answer["score"] == pytest.approx(float(own[0]), abs=1e-5)
        assert answer["decision"] == (answer["score"] >= by_name[record.triton_model].contract.decision_threshold)
    for paired in (r for r in records(redis_url) if isinstance(r, PairedRecord)):
        vector = np.array([logged[paired.prediction_id].vector], dtype=np.float32)
        answered_by = logged[paired.prediction_id].triton_model
        assert paired.paired.triton_model != answered_by
        other = by_name[paired.paired.triton_model].onnx
        assert paired.paired.score == pytest.approx(float(score(other, vector)[0]), abs=1e-5)
