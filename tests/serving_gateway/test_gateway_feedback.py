"""Ground truth through a real gateway: from POST /feedback over Redis to Parquet."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest
import redis

from orchestration.ingestion.predictions import land, read_feedback, read_predictions
from serving_gateway.identifiers import uuid7
from tests.servers import free_port, redis_server
from tests.serving_gateway.faulty_triton import faulty_triton
from tests.serving_gateway.support import (
    CONTRACT,
    GIVEN,
    GatewayProcess,
    gateway_process,
    publish_state,
    put_all_views,
    shipped,
    state_of,
    wait_for,
)

pytestmark = pytest.mark.integration
EARLIER, LATER = "2013-05-01T12:30:00Z", "2013-05-01T13:00:00Z"
NEVER_ANSWERED = uuid7(1_767_225_600_000)


def tell(gateway: GatewayProcess, prediction_id: str, outcome: object, observed_at: str = EARLIER) -> None:
    document = {"prediction_id": prediction_id, "outcome": outcome, "observed_at": observed_at}
    answer = gateway.client.post("/feedback", json=document)
    assert (answer.status_code, answer.json()) == (200, {"received": 1})


def test_reports_land_beside_their_predictions_exactly_once(tmp_path: Path) -> None:
    """Duplicate, out of order, late and unknown: told while Redis is down, landed twice over, read once each."""
    lake, port = tmp_path / "lake", free_port()
    with faulty_triton() as triton:
        triton.scores = {"delay_v1": 0.25}
        with (
            redis_server(tmp_path, port=port) as server,
            gateway_process(tmp_path, server.url, triton.address) as gateway,
        ):
            with redis.Redis.from_url(server.url) as client:
                put_all_views(client)
            publish_state(server.url, state_of(CONTRACT), CONTRACT)
            wait_for(lambda: gateway.client.get("/ready").status_code == 200)
            asked = {"instances": [{"features": GIVEN}] * 3, "event_time": "2013-05-01T12:00:00Z"}
            answer = gateway.predict(asked)
            assert answer.status_code == 200, answer.text
            ids = [row["prediction_id"] for row in answer.json()["predictions"]]
            server.process.kill()
            server.process.wait()
            tell(gateway, ids[0], True, LATER)
            tell(gateway, ids[0], False, EARLIER)  # out of order: what was seen first is told last
            tell(gateway, ids[1], 0)
            tell(gateway, ids[1], 0)
            batch = [
                {"prediction_id": ids[2], "outcome": 1, "observed_at": LATER},
                {"prediction_id": NEVER_ANSWERED, "outcome": 1, "observed_at": LATER},
            ]
            assert gateway.client.post("/feedback", json={"feedback": batch}).json() == {"received": 2}
            assert gateway.metric("serving_app_feedback_rows_total") == 6
            with redis_server(tmp_path, port=port) as again, redis.Redis.from_url(again.url) as client:
                wait_for(lambda: len(shipped(again.url)) == 9, timeout_s=15)  # what was shipped before came again, too
                entries = client.xrange("{drift}:predictions")
                assert land(client, lake).feedback == 6
                for _, fields in entries:
                    client.xadd("{drift}:predictions", fields)
                assert land(client, lake).feedback == 6
    day = datetime(2013, 5, 1, tzinfo=UTC)
    answered = read_predictions(lake, day, day + timedelta(days=1))
    assert sorted(answered["prediction_id"]) == sorted(ids)
    truth = read_feedback(lake, answered["prediction_id"], day + timedelta(days=1))
    assert dict(truth.select("prediction_id", "outcome").iter_rows()) == {ids[0]: True, ids[1]: False, ids[2]: True}
    unknown = read_feedback(lake, pl.Series("prediction_id", [NEVER_ANSWERED]), day + timedelta(days=1))
    assert unknown["outcome"].to_list() == [True]


@pytest.fixture
def gateway(redis_url: str, tmp_path: Path) -> Iterator[GatewayProcess]:
    with gateway_process(tmp_path, redis_url, GATEWAY_MAX_ROWS="2", GATEWAY_SPOOL_MAX_BYTES="300") as found:
        yield found


def test_who_may_not_ask_may_not_report_either(redis_url: str, tmp_path: Path) -> None:
    (tmp_path / "keys").write_text("k3y\n")
    report = {"prediction_id": NEVER_ANSWERED, "outcome": 1, "observed_at": EARLIER}
    with gateway_process(tmp_path, redis_url, API_KEYS_FILE=str(tmp_path / "keys")) as gateway:
        refused = gateway.client.post("/feedback", json=report)
        assert (refused.status_code, "www-authenticate" in refused.headers) == (401, True)
        assert gateway.client.post("/feedback", json=report, headers={"x-api-key": "k3y"}).status_code == 200


def test_refusals_leave_nothing_in_the_log(gateway: GatewayProcess, redis_url: str) -> None:
    row = {"prediction_id": NEVER_ANSWERED, "outcome": 1, "observed_at": EARLIER}
    bad = gateway.client.post("/feedback", json={"feedback": [row, row | {"prediction_id": "x"}]})
    assert (bad.status_code, bad.json()["error"]["path"]) == (400, "$.feedback[1].prediction_id")
    assert gateway.client.post("/feedback", json={"feedback": [row] * 3}).status_code == 400
    assert gateway.client.get("/feedback").status_code == 405
    unset = gateway.client.post("/feedback", json={"prediction_id": NEVER_ANSWERED, "outcome": 1})
    assert unset.status_code == 503
    assert "observed_at" in unset.json()["error"]["message"], "no replay has set the event clock"
    assert shipped(redis_url) == []
    assert gateway.metric("serving_app_feedback_rows_total") == 0


def test_a_full_spool_is_told_so_that_the_report_is_sent_again(gateway: GatewayProcess) -> None:
    answers = [
        gateway.client.post("/feedback", json={"prediction_id": uuid7(at), "outcome": 1, "observed_at": EARLIER})
        for at in range(5)
    ]
    assert [a.status_code for a in answers] == [200, 200, 503, 503, 503]
    assert answers[-1].headers["retry-after"] == "1"
    assert "send it again" in answers[-1].json()["error"]["message"]
    assert gateway.metric("serving_app_feedback_rows_total") == 2
