"""Changing the rollout over HTTP, against a real gateway and a real Redis."""

import json
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
import redis

from serving_gateway.contracts.model import RequestField
from serving_gateway.contracts.rollout import Arms, RolloutState
from serving_gateway.control.store import RolloutStore
from serving_gateway.control.transitions import set_baseline, start_canary
from tests.servers import RedisServer, redis_server
from tests.serving_gateway.faulty_triton import FaultyTriton, faulty_triton
from tests.serving_gateway.support import (
    CONTRACT,
    GIVEN,
    NOW,
    TWO,
    GatewayProcess,
    arm_of,
    gateway_process,
    predictions,
    publish_state,
    state_of,
    version,
    wait_for,
)

pytestmark = pytest.mark.integration
ADMIN = {"authorization": "Bearer t0ken"}
OPS = {"authorization": "Bearer t0ken-of-ops"}
KEY = {"x-api-key": "a-key"}
AT = {"event_time": "2013-05-01T12:00:00Z"}
OTHER_INPUTS = version(
    3,
    inputs=(
        msgspec.structs.replace(CONTRACT.inputs[0], vocabulary=("AA",)),
        msgspec.structs.replace(CONTRACT.inputs[1], source=RequestField("day")),
        *CONTRACT.inputs[2:],
    ),
)


@dataclass
class Served:
    """One gateway, its store, its Triton."""

    gateway: GatewayProcess
    redis: RedisServer
    store: RolloutStore
    triton: FaultyTriton

    def put(self, document: object, headers: dict[str, str] = ADMIN, query: str = "") -> httpx.Response:
        return self.gateway.client.put(f"/rollout{query}", content=_json(document), headers=headers)

    def roll_back(self, document: object, headers: dict[str, str] = ADMIN, query: str = "") -> httpx.Response:
        return self.gateway.client.post(f"/rollout/rollback{query}", content=_json(document), headers=headers)

    def state(self) -> RolloutState:
        state = self.store.read()
        assert state is not None
        return state

    def at(self, **changes: object) -> dict[str, object]:
        """A change of what stands."""
        return {"epoch": self.state().epoch, "generation": self.state().generation, "reason": "because"} | changes

    def predict(self, **headers: str) -> httpx.Response:
        return self.gateway.predict({"features": GIVEN, **AT}, **KEY, **headers)


def _json(document: object) -> bytes:
    return document if isinstance(document, bytes) else json.dumps(msgspec.to_builtins(document)).encode()


@pytest.fixture(scope="module")
def running_gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    home = tmp_path_factory.mktemp("rollout over http")
    (home / "tokens").write_text("ops:t0ken-of-ops\n")
    (home / "keys").write_text("a-key\n")
    access = {"ADMIN_TOKEN": "t0ken", "ADMIN_TOKEN_FILE": str(home / "tokens"), "API_KEYS_FILE": str(home / "keys")}
    with ExitStack() as stack:
        server = stack.enter_context(redis_server(home / "redis"))
        triton = stack.enter_context(faulty_triton())
        triton.scores = {"delay_v1": 0.25, "delay_v2": 0.75}
        store = publish_state(server.url, state_of(CONTRACT), CONTRACT, TWO, OTHER_INPUTS)
        gateway = stack.enter_context(gateway_process(home, server.url, triton.address, GATEWAY_ID="g1", **access))
        yield Served(gateway, server, store, triton)


@pytest.fixture
def served(running_gateway: Served) -> Served:
    """With a canary under way that has no share yet."""
    signed: dict[str, Any] = {"actor": "cli:me", "reason": "start", "now": NOW}
    running_gateway.store.change(lambda s: set_baseline(s, arm_of(CONTRACT), **signed))
    tried = {"weight_bp": 0, "shadow_fraction": 0.0, **signed}
    state = running_gateway.store.change(lambda s: start_canary(s, arm_of(TWO), **tried))
    wait_for(lambda: running_gateway.gateway.health()["generation"] == state.generation)
    return running_gateway


def test_a_change_stands_when_it_is_answered_and_is_served_at_once(served: Served) -> None:
    before = served.state()
    answer = served.put(served.at(canary_weight_bp=10_000, shadow_fraction=0.5, reason="a try"), OPS)
    assert answer.status_code == 200
    assert answer.json()["changed"] is True
    state = msgspec.convert(answer.json()["state"], RolloutState)
    assert state == served.state()
    assert (state.epoch, state.generation) == (before.epoch, before.generation + 1)
    assert (state.actor, state.reason, state.canary_weight_bp) == ("admin:ops", "a try", 10_000)
    assert (state.phase, state.arms.shadow) == ("promoted", arm_of(TWO))
    shown = served.gateway.client.get("/rollout").json()
    assert (shown["gateway"], shown["state"]["generation"]) == ("g1", state.generation)
    assert (shown["canary_weight_bp"], shown["refused"], shown["stopped"], shown["problem"]) == (10_000, {}, False, "")
    assert served.predict().json()["predictions"][0]["arm"] == "canary"


def test_who_serves_it_is_shown_and_can_be_waited_for(served: Served) -> None:
    answer = served.put(served.at(canary_weight_bp=1), query="?wait=5").json()
    assert answer["served_by"] == ["g1"]
    [said] = served.gateway.client.get("/rollout").json()["gateways"]
    assert (said["gateway"], said["generation"]) == ("g1", answer["state"]["generation"])
    assert said["age_s"] < 3


def test_a_stale_change_gets_the_state_that_stands_and_changes_nothing(served: Served) -> None:
    first = served.at(canary_weight_bp=100)
    assert served.put(first).status_code == 200
    stands = served.state()
    for stale in (first, first | {"epoch": 99}, first | {"generation": stands.generation + 1}):
        answer = served.put(stale | {"canary_weight_bp": 9000})
        assert answer.status_code == 409
        assert msgspec.convert(answer.json()["state"], RolloutState) == stands
        assert "the rollout changed meanwhile" in answer.json()["error"]["message"]
    assert served.state() == stands


def test_the_same_again_changes_nothing_and_begins_no_trial(served: Served) -> None:
    generation = served.put(served.at(canary_weight_bp=100)).json()["state"]["generation"]
    answer = served.put(served.at(canary_weight_bp=100, arms={"baseline": arm_of(CONTRACT), "canary": arm_of(TWO)}))
    assert (answer.json()["changed"], answer.json()["state"]["generation"]) == (False, generation)


@pytest.mark.parametrize("headers", [{}, {"authorization": "Bearer wrong"}, {"x-api-key": "t0ken"}, KEY])
def test_without_the_admin_token_nothing_is_changed(headers: dict[str, str], served: Served) -> None:
    before = served.state()
    for answer in (
        served.put(served.at(canary_weight_bp=1), headers),
        served.put(b"not even json", headers),
        served.roll_back({"reason": "r"}, headers),
    ):
        assert (answer.status_code, answer.headers["www-authenticate"]) == (401, 'Bearer realm="drift"')
    assert served.state() == before


BAD_CHANGES = [
    (b"", "$"),
    (b"{", "$"),
    (b"[]", "$"),
    (b'{"epoch": 1, "generation": 1, "reason": "\xff"}', "$"),
    (b"[" * 100_000, "$"),
    ({}, "$.epoch"),
    ({"epoch": 1, "generation": 1, "canary_weight_bp": 1}, "$.reason"),
    ({"epoch": 1, "generation": 1, "canary_weight_bp": 1, "reason": ""}, "$.reason"),
    ({"epoch": 1, "generation": 1, "canary_weight_bp": 1, "reason": " \n"}, "$.reason"),
    ({"epoch": 1, "generation": 1, "canary_weight_bp": 1, "reason": "x" * 501}, "$.reason"),
    ({"epoch": 0, "generation": 1, "canary_weight_bp": 1, "reason": "r"}, "$.epoch"),
    ({"epoch": 1, "generation": "1", "canary_weight_bp": 1, "reason": "r"}, "$.generation"),
    ({"epoch": 1, "generation": 1, "canary_weight_bp": -1, "reason": "r"}, "$.canary_weight_bp"),
    ({"epoch": 1, "generation": 1, "canary_weight_bp": 10_001, "reason": "r"}, "$.canary_weight_bp"),
    ({"epoch": 1, "generation": 1, "canary_weight_bp": 0.5, "reason": "r"}, "$.canary_weight_bp"),
    ({"epoch": 1, "generation": 1, "shadow_fraction": 1.1, "reason": "r"}, "$.shadow_fraction"),
    (b'{"epoch": 1, "generation": 1, "shadow_fraction": NaN, "reason": "r"}', "$"),
    ({"epoch": 1, "generation": 1, "phase": "canary", "reason": "r"}, "$.phase"),
    ({"epoch": 1, "generation": 1, "arms": {}, "reason": "r"}, "$.arms.baseline"),
    ({"epoch": 1, "generation": 1, "arms": {"baseline": {"model": "delay"}}, "reason": "r"}, "$.arms.baseline.version"),
    ({"epoch": 1, "generation": 1, "reason": "r"}, "$"),
]


@pytest.mark.parametrize(("document", "path"), BAD_CHANGES)
def test_a_change_that_cannot_be_read_names_what_is_wrong(document: object, path: str, served: Served) -> None:
    answer = served.put(document)
    assert (answer.status_code, answer.json()["error"]["path"]) == (400, path)


@pytest.mark.parametrize(
    ("document", "path"),
    [(b"", "$"), ({}, "$.reason"), ({"reason": ""}, "$.reason"), ({"reason": "r", "weight": 0}, "$.weight")],
)
def test_nor_is_a_rollback_without_a_reason_one(document: object, path: str, served: Served) -> None:
    before = served.state()
    answer = served.roll_back(document)
    assert (answer.status_code, answer.json()["error"]["path"]) == (400, path)
    assert served.state() == before


@pytest.mark.parametrize("query", ["?wait=soon", "?wait=-1", "?wait=31", "?wait=", "?wait=1.5", "?wait=²"])
def test_a_wait_that_is_no_number_changes_nothing(query: str, served: Served) -> None:
    before = served.state()
    assert served.put(served.at(canary_weight_bp=1), query=query).json()["error"]["path"] == "?wait"
    assert served.roll_back({"reason": "r"}, query=query).status_code == 400
    assert served.state() == before


def refusal(served: Served, **changes: object) -> str:
    before = served.state()
    answer = served.put(served.at(**changes))
    assert answer.status_code == 409
    assert msgspec.convert(answer.json()["state"], RolloutState) == before == served.state()
    return str(answer.json()["error"]["message"])


def test_a_canary_with_another_signature_is_refused_with_the_fields_named(served: Served) -> None:
    arms = Arms(baseline=arm_of(CONTRACT), canary=arm_of(OTHER_INPUTS))
    assert refusal(served, arms=arms, canary_weight_bp=100) == (
        "the canary cannot score what the baseline is asked: inputs[0] (s_carrier): vocabulary differs from the "
        "baseline's; inputs[1] (s_dow): source differs from the baseline's"
    )
    arms = Arms(baseline=arm_of(CONTRACT), canary=arm_of(TWO), shadow=arm_of(OTHER_INPUTS))
    assert "the shadow cannot score" in refusal(served, arms=arms, shadow_fraction=0.1)


def test_an_arm_without_its_contract_is_refused(served: Served) -> None:
    unknown = version(9)
    assert refusal(served, arms=Arms(baseline=arm_of(unknown))) == (
        f"the contract {unknown.digest} of delay_v9 is not in the store"
    )
    another = msgspec.structs.replace(arm_of(TWO), version="7")
    assert "is of delay version 2, not of delay version 7" in refusal(served, arms=Arms(baseline=another))


def test_a_promotion_is_a_baseline_without_a_canary(served: Served) -> None:
    answer = served.put(served.at(arms={"baseline": arm_of(TWO)}, reason="better by .01"))
    state = served.state()
    assert answer.status_code == 200
    assert (state.phase, state.arms, state.canary_weight_bp) == ("stable", Arms(baseline=arm_of(TWO)), 0)
    assert served.predict().json()["predictions"][0]["version"] == "2"
    assert refusal(served, canary_weight_bp=1) == "no canary is named: name one in `arms`"


def test_a_rollback_is_done_once_and_said_again(served: Served) -> None:
    served.put(served.at(canary_weight_bp=5000))
    before = served.state()
    meant = {"reason": "looks wrong", "epoch": before.epoch, "generation": before.generation}
    first = served.roll_back(meant, OPS, "?wait=5").json()
    assert (first["changed"], first["served_by"]) == (True, ["g1"])
    state = served.state()
    assert (state.phase, state.canary_weight_bp, state.actor) == ("rolled_back", 0, "admin:ops")
    for again in (meant, {"reason": "again"}):
        answer = served.roll_back(again)
        assert answer.status_code == 200
        assert (answer.json()["changed"], answer.json()["state"]["reason"]) == (False, "looks wrong")
    assert served.state() == state
    assert "was rolled back by admin:ops (looks wrong): name it in `arms`" in refusal(served, canary_weight_bp=1)
    assert served.put(served.at(arms=Arms(baseline=arm_of(CONTRACT), canary=arm_of(TWO)))).status_code == 200


def test_a_rollback_of_another_trial_is_refused(served: Served) -> None:
    before = served.state()
    answer = served.roll_back({"reason": "r", "epoch": before.epoch, "generation": before.generation - 1})
    assert answer.status_code == 409
    assert msgspec.convert(answer.json()["state"], RolloutState) == before == served.state()


def test_the_history_is_newest_first_with_reasons(served: Served) -> None:
    served.put(served.at(canary_weight_bp=100, reason="first"))
    served.roll_back({"reason": "second"})
    history = served.gateway.client.get("/rollout/history?count=2").json()["history"]
    assert [(entry["reason"], entry["actor"], entry["phase"]) for entry in history] == [
        ("second", "admin", "rolled_back"),
        ("first", "admin", "canary"),
    ]
    assert history[0]["time"] > history[1]["time"]
    assert len(served.gateway.client.get("/rollout/history").json()["history"]) <= 20
    for count in ("0", "501", "x", ""):
        answer = served.gateway.client.get(f"/rollout/history?count={count}")
        assert (answer.status_code, answer.json()["error"]["path"]) == (400, "?count")


def test_predictions_need_a_key_where_there_are_keys(served: Served) -> None:
    answer = served.gateway.predict({"features": GIVEN, **AT})
    assert (answer.status_code, answer.headers["www-authenticate"]) == (401, 'Bearer realm="drift"')
    assert served.predict().status_code == 200
    assert served.gateway.client.get("/ready").status_code == 200


def test_a_caller_may_name_the_arm(served: Served) -> None:
    """Before the canary has a share, and past the split where it has all of it."""
    row = served.predict(**{"x-model-arm": "canary"}).json()["predictions"][0]
    assert (row["arm"], row["score"]) == ("canary", 0.75)
    served.put(served.at(canary_weight_bp=10_000))
    assert served.predict(**{"x-model-arm": "baseline"}).json()["predictions"][0]["arm"] == "baseline"
    assert served.predict().json()["predictions"][0]["arm"] == "canary"
    wait_for(lambda: len(_routings(served)) == 3)
    assert sorted(_routings(served)) == [("baseline", "forced"), ("canary", "forced"), ("canary", "split")]
    answer = served.predict(**{"x-model-arm": "shadow"})
    assert (answer.status_code, answer.json()["error"]["path"]) == (400, "x-model-arm")
    served.roll_back({"reason": "bad"})
    answer = served.predict(**{"x-model-arm": "canary"})
    assert (answer.status_code, answer.json()["error"]["message"]) == (409, "delay_v2 was rolled back by admin: bad")


def _routings(served: Served) -> list[tuple[str, str]]:
    """Of this test's trial and what followed it in the same generations."""
    start = served.state().generation - 1
    return [(r.arm, r.routing) for r in predictions(served.redis.url) if r.generation >= start]


def test_a_forced_canary_that_fails_is_answered_by_the_baseline(served: Served) -> None:
    served.triton.faults["delay_v2"] = "error"
    try:
        row = served.predict(**{"x-model-arm": "canary"}).json()["predictions"][0]
    finally:
        served.triton.faults.clear()
    assert (row["arm"], row["fallback_from"]) == ("baseline", "canary")


def test_a_store_that_was_emptied_is_told_before_it_is_changed(served: Served) -> None:
    served.put(served.at(canary_weight_bp=5000))
    epoch = served.state().epoch
    with redis.Redis.from_url(served.redis.url) as client:
        client.flushall()
    answer = served.roll_back({"reason": "right after"}, query="?wait=5").json()
    assert (answer["changed"], answer["served_by"]) == (True, ["g1"])
    state = served.state()
    assert (state.epoch, state.phase, state.canary_weight_bp) == (epoch + 1, "rolled_back", 0)
    reasons = [entry["reason"] for entry in served.gateway.client.get("/rollout/history?count=3").json()["history"]]
    assert reasons[0] == "right after"
    assert reasons[1].startswith("restored forward: the store held nothing")
    assert reasons[2] == "because"
    assert served.store.contract(TWO.digest) == TWO


def test_without_a_token_changes_are_off_and_that_is_said(redis_url: str, tmp_path: Path) -> None:
    publish_state(redis_url, state_of(CONTRACT), CONTRACT)
    with gateway_process(tmp_path, redis_url) as gateway:
        for answer in (
            gateway.client.put("/rollout", json={}, headers=ADMIN),
            gateway.client.post("/rollout/rollback", json={"reason": "r"}),
        ):
            assert answer.status_code == 403
            assert "set ADMIN_TOKEN or ADMIN_TOKEN_FILE" in answer.json()["error"]["message"]


def test_while_redis_is_away_nothing_is_changed_and_that_is_said(tmp_path: Path) -> None:
    with (
        redis_server(tmp_path / "redis") as server,
        gateway_process(tmp_path, server.url, ADMIN_TOKEN="t0ken") as gateway,
    ):
        for answer in (
            gateway.client.post("/rollout/rollback", json={"reason": "r"}, headers=ADMIN),
            gateway.client.put(
                "/rollout", json={"epoch": 1, "generation": 1, "reason": "r", "shadow_fraction": 0}, headers=ADMIN
            ),
        ):
            assert (answer.status_code, answer.json()["state"]) == (409, None)
            assert "publish a model first" in answer.json()["error"]["message"]
        publish_state(server.url, state_of(CONTRACT, TWO, weight_bp=100), CONTRACT, TWO)
        wait_for(lambda: gateway.health()["generation"] == 1)
        server.process.terminate()
        server.process.wait()
        change = {"epoch": 1, "generation": 1, "reason": "r", "canary_weight_bp": 0}
        for answer in (
            gateway.client.put("/rollout", json=change, headers=ADMIN),
            gateway.client.post("/rollout/rollback", json={"reason": "r"}, headers=ADMIN),
            gateway.client.get("/rollout/history"),
        ):
            assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
            assert "Redis" in answer.json()["error"]["message"]
        wait_for(lambda: gateway.health()["redis"] == "down")
        shown = gateway.client.get("/rollout").json()
        assert (shown["state"]["generation"], shown["gateways"]) == (1, None)
