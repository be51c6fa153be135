"""Landing of the prediction log, against a real Redis."""

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import polars as pl
import pytest
import redis

from orchestration.ingestion.predictions import land, read_paired, read_predictions, read_trial
from serving_gateway.contracts.prediction import (
    LogRecord,
    PairedRecord,
    PairedScore,
    PredictionRecord,
    ViewAge,
)
from serving_gateway.contracts.prediction_log import StreamBatch, encode_record, encode_records
from serving_gateway.control import keys

pytestmark = pytest.mark.integration
NOON = datetime(2013, 5, 1, 12, tzinfo=UTC)
DAY = (NOON - timedelta(hours=12), NOON + timedelta(hours=12))


def prediction(number: int, at: datetime = NOON) -> PredictionRecord:
    return PredictionRecord(
        prediction_id=f"p{number:04}", request_id=f"r{number}", event_time_us=int(at.timestamp() * 1e6), served_at_us=1,
        arm="baseline", model="m", model_version="1", triton_model="m_v1", contract_digest="d", epoch=1, generation=1,
        entities={"origin": "JFK"}, vector=[1.0, float("nan")], views=[ViewAge(view="v", status="missing")],
        score=0.25, decision=False, latency_us=900,
    )  # fmt: skip


def paired(number: int) -> PairedRecord:
    score = PairedScore(arm="shadow", model_version="2", triton_model="m_v2", outcome="ok", score=0.5)
    return PairedRecord(prediction_id=f"p{number:04}", event_time_us=int(NOON.timestamp() * 1e6), paired=score)


def ship(client: redis.Redis, start: int, records: list[LogRecord], segment: str = "g1/1.seg") -> int:
    """Add one batch as a gateway does, pretending 100 bytes a record; returns the end offset."""
    batch = StreamBatch(
        segment=segment,
        start=start,
        end=start + 100 * len(records),
        records=encode_records(map(encode_record, records)),
    )
    client.xadd(keys.PREDICTIONS, batch.to_fields())
    return batch.end


@pytest.fixture
def client(redis_url: str) -> redis.Redis:
    return redis.Redis.from_url(redis_url)


def test_every_record_lands_once_and_the_stream_is_emptied(client: redis.Redis, tmp_path: Path) -> None:
    end = ship(client, 0, [prediction(i) for i in range(3)])
    ship(client, end, [paired(0), prediction(3)])
    landed = land(client, tmp_path)
    assert (landed.predictions, landed.paired, landed.feedback, landed.batches) == (4, 1, 0, 2)
    assert client.xlen(keys.PREDICTIONS) == 0
    assert client.hgetall(keys.LANDED) == {b"g1/1.seg": b"500"}
    rows = read_predictions(tmp_path, *DAY)
    assert rows["prediction_id"].to_list() == ["p0000", "p0001", "p0002", "p0003"]
    first = rows.row(0, named=True)
    assert first["event_time"] == NOON
    assert first["entities"] == [{"name": "origin", "value": "JFK"}]
    assert first["vector"][0] == 1.0
    assert first["vector"][1] != first["vector"][1]
    assert read_paired(tmp_path, *DAY)["score"].to_list() == [0.5]


def test_a_batch_shipped_twice_is_read_once(client: redis.Redis, tmp_path: Path) -> None:
    ship(client, 0, [prediction(1), paired(1)])
    land(client, tmp_path)
    ship(client, 0, [prediction(1), paired(1)])
    land(client, tmp_path)
    assert read_predictions(tmp_path, *DAY).height == 1
    assert read_paired(tmp_path, *DAY).height == 1


def test_a_batch_behind_a_gap_lands_but_does_not_release_the_segment(client: redis.Redis, tmp_path: Path) -> None:
    ship(client, 300, [prediction(9)])
    land(client, tmp_path)
    assert client.hget(keys.LANDED, "g1/1.seg") == b"0"
    assert read_predictions(tmp_path, *DAY).height == 1


def test_rows_are_found_by_event_time(client: redis.Redis, tmp_path: Path) -> None:
    ship(client, 0, [prediction(1), prediction(2, NOON + timedelta(days=1))])
    land(client, tmp_path)
    assert read_predictions(tmp_path, *DAY)["prediction_id"].to_list() == ["p0001"]
    assert read_predictions(tmp_path, NOON, NOON + timedelta(days=2)).height == 2


def test_files_from_before_a_field_are_read_with_its_default(client: redis.Redis, tmp_path: Path) -> None:
    ship(client, 0, [prediction(1)])
    land(client, tmp_path)
    [old] = tmp_path.glob("predictions/*/*.parquet")
    pl.read_parquet(old, hive_partitioning=False).drop("routing", "charged").write_parquet(old)
    ship(client, 100, [msgspec.structs.replace(prediction(2), routing="forced", charged=False)])
    land(client, tmp_path)
    assert read_predictions(tmp_path, *DAY)["routing"].to_list() == ["split", "forced"]
    assert read_trial(tmp_path, (1, 1))["routing"].to_list() == ["split", "forced"]
    assert read_predictions(tmp_path, *DAY)["charged"].to_list() == [True, False]


def test_an_empty_log_reads_as_an_empty_frame(client: redis.Redis, tmp_path: Path) -> None:
    assert land(client, tmp_path).batches == 0
    assert read_predictions(tmp_path, *DAY).is_empty()
    assert read_paired(tmp_path, *DAY).is_empty()


def test_a_foreign_entry_stops_the_landing_and_stays_in_the_stream(client: redis.Redis, tmp_path: Path) -> None:
    client.xadd(keys.PREDICTIONS, {"segment": "x", "start": 0, "end": 1, "records": b"\xc1"})
    with pytest.raises(msgspec.MsgspecError):
        land(client, tmp_path)
    assert client.xlen(keys.PREDICTIONS) == 1


def test_two_landings_at_once_lose_nothing(redis_url: str, client: redis.Redis, tmp_path: Path) -> None:
    """Entries keep arriving while several landings run; each record is in the lake in the end."""
    stop = threading.Event()

    def keep_landing() -> None:
        with redis.Redis.from_url(redis_url) as own:
            while not stop.is_set():
                land(own, tmp_path)

    with ThreadPoolExecutor(4) as pool:
        running = [pool.submit(keep_landing) for _ in range(4)]
        end = 0
        for number in range(300):
            end = ship(client, end, [prediction(number)])
        stop.set()
        for each in running:
            each.result(timeout=30)
    land(client, tmp_path)
    assert read_predictions(tmp_path, *DAY).height == 300
    assert client.hget(keys.LANDED, "g1/1.seg") == str(end).encode()
