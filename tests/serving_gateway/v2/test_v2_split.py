"""The rolled-out model called by the protocol is under the rollout as /predict is: split, log, shadow."""

from concurrent.futures import ThreadPoolExecutor

import httpx
import numpy as np
import pytest

from serving_gateway.contracts.prediction import PairedRecord
from serving_gateway.contracts.split import place
from tests.serving_gateway.support import CONTRACT, GIVEN, predictions, shipped, wait_for
from tests.serving_gateway.v2.conftest import STATE, Client, Front, tensor, vectors

pytestmark = pytest.mark.integration
KEYS = 600
SHARE = STATE.canary_weight_bp / 10_000


def infer(front: Front, document: dict[str, object], *, version: str = "", key: str | None = None) -> httpx.Response:
    path = f"/v2/models/delay/versions/{version}/infer" if version else "/v2/models/delay/infer"
    headers = {} if key is None else {"x-routing-key": key}
    return front.gateway.client.post(path, json=document, headers=headers)


def document(rows: np.ndarray, **further: object) -> dict[str, object]:
    values = np.nan_to_num(rows).tolist()
    return {"inputs": [{"name": "features", "datatype": "FP32", "shape": list(rows.shape), "data": values}]} | further


def versions(front: Front, **where: str) -> dict[str, str]:
    """Version that answered, by key; `where` is how a key is sent."""

    def ask(key: str) -> str:
        sent = {name: value.format(key) for name, value in where.items() if name != "header"}
        answer = infer(front, document(vectors(2), **sent), key=key if "header" in where else None)
        assert answer.status_code == 200
        return str(answer.json()["model_version"])

    keys = [f"key {at}" for at in range(KEYS)]
    with ThreadPoolExecutor(4) as pool:
        return dict(zip(keys, pool.map(ask, keys), strict=True))


@pytest.mark.parametrize("where", [{"header": "x-routing-key"}, {"id": "{}"}])
def test_the_split_applies_by_header_or_by_id(front: Front, where: dict[str, str]) -> None:
    found = versions(front, **where)
    assert found == {key: "2" if place(STATE.salt, key, STATE.canary_weight_bp) == "canary" else "1" for key in found}
    share = sum(version == "2" for version in found.values()) / KEYS
    assert abs(share - SHARE) < 4 * (SHARE * (1 - SHARE) / KEYS) ** 0.5


def test_without_key_and_id_the_share_holds_too(front: Front) -> None:
    found = versions(front)
    assert abs(sum(v == "2" for v in found.values()) / KEYS - SHARE) < 4 * (SHARE * (1 - SHARE) / KEYS) ** 0.5


def test_an_explicit_version_bypasses_the_split(front: Front) -> None:
    for version in ("1", "2"):
        answers = [infer(front, document(vectors(1)), version=version, key=f"key {at}") for at in range(20)]
        assert {(a.json()["model_name"], a.json()["model_version"]) for a in answers} == {("delay", version)}
    assert infer(front, document(vectors(1)), version="3").json() == {
        "error": "delay has no version 3 in this rollout; there are 1, 2"
    }


def test_the_scores_are_those_of_predict(front: Front) -> None:
    given = [GIVEN | {"s_distance": distance, "visib": distance / 2} for distance in range(0, 2000, 100)]
    by_predict = front.gateway.predict(
        {"instances": [{"features": g} for g in given]}, **{"x-routing-key": "key 1"}
    ).json()
    wait_for(lambda: len(logged(front, by_predict["request_id"])) == len(given))
    rows = np.array([r.vector for r in logged(front, by_predict["request_id"])], np.float32)
    client = Client("sync", front.address)
    answer = client("infer", "delay", [tensor("features", rows)], headers={"x-routing-key": "key 1"})
    client.close()
    expected = [p["score"] for p in by_predict["predictions"]]
    np.testing.assert_allclose(answer.as_numpy("score")[:, 0], expected, rtol=1e-6)
    assert {p["version"] for p in by_predict["predictions"]} == {answer.get_response()["model_version"]}


def logged(front: Front, request_id: str) -> list:  # type: ignore[type-arg]
    return [r for r in predictions(front.redis.url) if r.request_id == request_id]


def test_every_row_is_logged_and_shadowed(front: Front) -> None:
    before = front.gateway.metric('serving_app_requests_total{model_variant="baseline",outcome="ok"}')
    key = next(f"k{at}" for at in range(99) if place(STATE.salt, f"k{at}", STATE.canary_weight_bp) == "baseline")
    rows = vectors(5, seed=4)
    answer = infer(front, document(rows, id="logged"), key=key).json()
    ids = answer["parameters"]["prediction_ids"].split(",")
    wait_for(lambda: len(logged(front, "logged")) == 5)
    records = logged(front, "logged")
    assert [r.prediction_id for r in records] == ids
    assert {(r.arm, r.model, r.model_version, r.contract_digest) for r in records} == {
        ("baseline", "delay", "1", CONTRACT.digest)
    }
    np.testing.assert_array_equal(np.array([r.vector for r in records], np.float32), np.nan_to_num(rows))
    assert [r.score for r in records] == answer["outputs"][0]["data"]
    assert front.gateway.metric('serving_app_requests_total{model_variant="baseline",outcome="ok"}') == before + 5

    def paired() -> set[str]:
        return {r.prediction_id for r in shipped(front.redis.url) if isinstance(r, PairedRecord)}

    wait_for(lambda: set(ids) <= paired())


def test_what_is_asked_past_the_split_is_not_logged(front: Front) -> None:
    infer(front, document(vectors(1), id="past"), version="2")
    infer(front, document(vectors(1), id="fence"))
    wait_for(lambda: len(logged(front, "fence")) == 1)
    assert logged(front, "past") == []
