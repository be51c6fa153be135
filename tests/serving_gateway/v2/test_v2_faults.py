"""What the protocol's callers see of failing models and a Triton that is away, and what a canary is charged with."""

from collections.abc import Iterator

import httpx
import pytest

from serving_gateway.control.store import RolloutStore
from tests.servers import RedisServer, free_port, redis_server
from tests.serving_gateway.faulty_triton import FaultyTriton, faulty_triton
from tests.serving_gateway.support import (
    CONTRACT,
    TWO,
    GatewayProcess,
    gateway_process,
    publish_state,
    put_all_views,
    state_of,
    wait_for,
)

pytestmark = pytest.mark.integration
ALL_CANARY = state_of(CONTRACT, TWO, weight_bp=10_000)
INPUT = {"name": "features", "datatype": "FP32", "shape": [2, 7], "data": [0.5] * 14}
HEADER = b'{"inputs":[{"name":"features","datatype":"FP32","shape":[1,7],"parameters":{"binary_data_size":28}}]}'


@pytest.fixture(scope="module")
def rollout(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """A Redis that holds a rollout whose canary answers everything."""
    import redis

    with redis_server(tmp_path_factory.mktemp("redis")) as server:
        with redis.Redis.from_url(server.url) as client:
            put_all_views(client)
        publish_state(server.url, ALL_CANARY, CONTRACT, TWO)
        yield server


@pytest.fixture(scope="module")
def both(
    rollout: RedisServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[GatewayProcess, FaultyTriton]]:
    """A gateway with a short deadline, and the stand-in for Triton behind it."""
    home = tmp_path_factory.mktemp("gateway")
    with faulty_triton() as stand_in:
        stand_in.scores = {"delay_v1": 0.25, "delay_v2": 0.75}
        with gateway_process(home, rollout.url, stand_in.address, GATEWAY_DEADLINE_MS="400") as gateway:
            wait_for(lambda: gateway.client.get("/v2/health/ready").status_code == 200)
            yield gateway, stand_in


@pytest.fixture
def gateway(both: tuple[GatewayProcess, FaultyTriton]) -> GatewayProcess:
    return both[0]


@pytest.fixture
def stand_in(both: tuple[GatewayProcess, FaultyTriton]) -> Iterator[FaultyTriton]:
    yield both[1]
    both[1].faults.clear()


def infer(gateway: GatewayProcess, path: str) -> httpx.Response:
    """One row, binary."""
    headers = {"inference-header-content-length": str(len(HEADER))}
    return gateway.client.post(f"/v2/models/{path}", content=HEADER + bytes(28), headers=headers)


def test_a_callers_mistakes_charge_no_canary(gateway: GatewayProcess, stand_in: FaultyTriton) -> None:
    asked = stand_in.asked.copy()
    for _ in range(12):
        for wrong in ({"shape": [2, 6]}, {"datatype": "INT32"}, {"name": "x"}, {"data": ["a"]}, {"data": [1, None]}):
            refused = gateway.client.post("/v2/models/delay/infer", json={"inputs": [INPUT | wrong]})
            assert refused.status_code == 400
            assert set(refused.json()) == {"error"}
    assert stand_in.asked == asked
    assert gateway.health()["canary_weight_bp"] == 10_000


def test_a_version_that_fails_past_the_split_charges_no_canary(gateway: GatewayProcess, stand_in: FaultyTriton) -> None:
    stand_in.faults["delay_v2"] = "error"
    for _ in range(12):
        refused = infer(gateway, "delay/versions/2/infer")
        assert (refused.status_code, refused.json()) == (500, {"error": "planted"})
    assert gateway.health()["canary_weight_bp"] == 10_000


def test_what_hangs_is_answered_by_the_deadline(gateway: GatewayProcess, stand_in: FaultyTriton) -> None:
    stand_in.faults = {"delay_v1": "hang", "delay_v2": "hang", "other": "hang"}
    for path in ("delay/infer", "delay/versions/2/infer", "other/infer"):
        late = infer(gateway, path)
        assert (late.status_code, set(late.json())) == (504, {"error"})
        assert late.elapsed.total_seconds() < 2


def test_a_reply_that_is_no_answer_is_no_bug_of_ours(gateway: GatewayProcess, stand_in: FaultyTriton) -> None:
    for fault in ("bytes", "upgrade", "close"):
        stand_in.faults["delay_v2"] = stand_in.faults["other"] = fault
        for path in ("delay/versions/2/infer", "other/infer"):
            answer = infer(gateway, path)
            passed = fault == "bytes" and path == "other/infer"  # passed through unread
            assert answer.status_code == (200 if passed else 503 if fault == "close" else 502)
            assert passed or set(answer.json()) == {"error"}


def test_errors_of_every_layer_have_the_protocols_shape(gateway: GatewayProcess) -> None:
    client = gateway.client
    answers = {
        404: client.get("/v2/nowhere"),
        405: client.get("/v2/models/delay/infer"),
        413: client.post("/v2/models/other/infer", content=b"x" * 9_000_000),
        415: client.post("/v2/models/delay/infer", content=b"x", headers={"content-encoding": "br"}),
        417: client.post("/v2/models/delay/infer", content=b"x", headers={"expect": "nothing"}),
        431: client.get("/v2", headers={"x-long": "x" * 20_000}),
    }
    for status, answer in answers.items():
        assert answer.status_code == status
        assert isinstance(answer.json()["error"], str)
    assert answers[405].headers["allow"] == "POST"
    assert isinstance(client.get("/v2x").json()["error"], dict)
    assert client.head("/v2/models/delay/ready").status_code == 200


def test_without_triton_everything_says_when_to_come_back(
    rollout: RedisServer, tmp_path_factory: pytest.TempPathFactory
) -> None:
    home = tmp_path_factory.mktemp("alone")
    with gateway_process(home, rollout.url, f"127.0.0.1:{free_port()}") as gateway:
        wait_for(lambda: gateway.health()["generation"] == 1)
        assert gateway.client.get("/v2/health/live").json() == {"live": True}
        asked = ("/v2", "/v2/health/ready", "/v2/models/delay", "/v2/models/delay/ready", "/v2/models/stats")
        answers = [gateway.client.get(path) for path in asked]
        answers += [infer(gateway, path) for path in ("delay/infer", "delay/versions/2/infer", "other/infer")]
        assert {(a.status_code, a.headers["retry-after"], *a.json()) for a in answers} == {(503, "1", "error")}
        assert gateway.health()["canary_weight_bp"] == 10_000


def test_a_failing_canary_is_answered_by_the_baseline_and_charged(
    gateway: GatewayProcess, stand_in: FaultyTriton, rollout: RedisServer
) -> None:
    """The last of this file: the canary is rolled back."""

    def answered() -> tuple[str, list[float]]:
        answer = gateway.client.post("/v2/models/delay/infer", json={"inputs": [INPUT]}).json()
        return answer["model_version"], answer["outputs"][0]["data"]

    assert answered() == ("2", [0.75, 0.75])
    stand_in.faults["delay_v2"] = "nan"
    assert [answered() for _ in range(10)] == [("1", [0.25, 0.25])] * 10
    wait_for(lambda: RolloutStore.connect(rollout.url).read().phase == "rolled_back")  # type: ignore[union-attr]
    assert gateway.metric("serving_app_fallbacks_total") == 12  # six requests of two rows, then no more
