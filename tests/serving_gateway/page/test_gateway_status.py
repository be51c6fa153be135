"""GET /status of a real gateway: before anything is served, with everything there, and without Redis."""

from pathlib import Path

import pytest
import redis

from serving_gateway.control import keys
from tests.servers import redis_server
from tests.serving_gateway.faulty_triton import faulty_triton
from tests.serving_gateway.support import CONTRACT, TWO, gateway_process, publish_state, state_of, wait_for

pytestmark = pytest.mark.integration


def test_it_tells_what_is_served_by_whom_and_what_is_the_matter(tmp_path: Path) -> None:
    with (
        faulty_triton() as triton,
        redis_server(tmp_path) as server,
        gateway_process(
            tmp_path, server.url, triton.address, GATEWAY_ID="one", DAGSTER_URL="https://u:secret@dagster.example/x",
            MLFLOW_TRACKING_URI="sqlite:///here.db", REPORTS_PORT="8299",
        ) as gateway,
    ):  # fmt: skip

        def status() -> dict[str, object]:
            answer = gateway.client.get("/status")
            assert answer.status_code == 200
            found: dict[str, object] = answer.json()
            return found

        wait_for(lambda: status()["store"] == {"up": True, "problem": "", "gateways": [], "history": []})
        empty = status()
        assert (empty["state"], empty["serving"]) == (None, None)
        assert "publish a model first" in str(empty["problem"])
        assert empty["links"] == {"Dagster": "https://dagster.example/x", "Reports": "http://127.0.0.1:8299"}

        publish_state(server.url, state_of(CONTRACT, TWO, weight_bp=1500), CONTRACT, TWO)
        wait_for(lambda: bool(status()["store"]["gateways"]))
        full = status()
        assert full["state"]["canary_weight_bp"] == 1500
        assert full["serving"] == {"ready": True, "canary_weight_bp": 1500, "stopped": False, "refused": {}}
        (heard,) = full["store"]["gateways"]
        assert (heard["gateway"], heard["epoch"], heard["generation"], heard["canary_weight_bp"]) == ("one", 1, 1, 1500)
        assert 0 <= heard["age_s"] < 3
        assert [s["generation"] for s in full["store"]["history"]] == [1]

        with redis.Redis.from_url(server.url) as client:
            client.xadd(keys.AUDIT, {"state": b"no state"})
        foreign = status()["store"]
        assert foreign["up"]
        assert keys.AUDIT in foreign["problem"], "an entry that cannot be read is named, and the page goes on"

        server.process.kill()
        wait_for(lambda: not status()["store"]["up"])
        away = status()
        assert away["store"]["gateways"] is None
        assert away["state"]["canary_weight_bp"] == 1500, "the last known good is served on"
