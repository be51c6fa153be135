"""The laws of the log's framing: a prefix survives any cut, no flipped bit passes, gaps never release a segment."""

import math

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving_gateway.contracts.prediction import FeedbackRecord, PairedRecord, PairedScore, PredictionRecord, ViewAge
from serving_gateway.contracts.prediction_log import (
    StreamBatch,
    advanced,
    decode_record,
    encode_frame,
    encode_record,
    encode_records,
    read_frames,
)

PAYLOADS = st.lists(st.binary(min_size=1, max_size=60), max_size=8)
PREDICTION = PredictionRecord(
    prediction_id="p", request_id="r", event_time_us=1, served_at_us=2, arm="canary", model="m", model_version="1",
    triton_model="m_v1", contract_digest="d", epoch=1, generation=2, entities={"origin": "JFK"}, vector=[1.5, math.nan],
    views=[ViewAge(view="v", status="expired", age_s=3.0)], score=0.5, decision=True, latency_us=9, fallback_from="canary",
)  # fmt: skip
PAIRED = PairedRecord(
    prediction_id="p",
    event_time_us=1,
    paired=PairedScore(arm="shadow", model_version="2", triton_model="m_v2", outcome="timeout"),
)
FEEDBACK = FeedbackRecord(prediction_id="p", outcome=True, observed_at_us=1, received_at_us=2)
# As the first gateway that knew feedback wrote it: what lies in a spool or in the stream must stay readable.
FEEDBACK_BYTES = bytes.fromhex(
    "85a46b696e64a8666565646261636bad70726564696374696f6e5f6964a170a76f7574636f6d65c3ae6f627365727665645f61745f757301"
    "ae72656365697665645f61745f757302"
)


@given(PAYLOADS, st.data())
def test_any_cut_leaves_the_whole_frames_before_it(payloads: list[bytes], data: st.DataObject) -> None:
    frames = [encode_frame(p) for p in payloads]
    whole = b"".join(frames)
    cut = data.draw(st.integers(0, len(whole)))
    found, end = read_frames(whole[:cut])
    assert found == payloads[: len(found)]
    assert end == sum(map(len, frames[: len(found)]))
    assert len(found) == len(frames) or end + len(frames[len(found)]) > cut


@given(st.lists(st.binary(min_size=1, max_size=40), min_size=1, max_size=5), st.data())
def test_a_flipped_bit_is_never_read_as_a_record(payloads: list[bytes], data: st.DataObject) -> None:
    frames = [encode_frame(p) for p in payloads]
    whole = bytearray(b"".join(frames))
    at = data.draw(st.integers(0, len(whole) - 1))
    whole[at] ^= 1 << data.draw(st.integers(0, 7))
    found, _ = read_frames(bytes(whole))
    damaged = next(i for i in range(len(frames)) if sum(map(len, frames[: i + 1])) > at)
    assert found == payloads[:damaged]


def test_zeros_at_the_end_are_no_frames() -> None:
    frame = encode_frame(b"x")
    assert read_frames(frame + bytes(64)) == ([b"x"], len(frame))


def test_records_of_every_kind_survive_with_nan() -> None:
    batch = StreamBatch(
        segment="g.1.2", start=3, end=9, records=encode_records(map(encode_record, [PREDICTION, PAIRED, FEEDBACK]))
    )
    fields = {k.encode(): v if isinstance(v, bytes) else str(v).encode() for k, v in batch.to_fields().items()}
    again = StreamBatch.from_fields(fields)
    assert again == batch
    prediction, paired, feedback = again.decoded()
    assert (paired, feedback) == (PAIRED, FEEDBACK)
    assert isinstance(prediction, PredictionRecord)
    assert math.isnan(prediction.vector[1])
    assert msgspec.structs.replace(prediction, vector=[]) == msgspec.structs.replace(PREDICTION, vector=[])


def test_a_record_without_the_newer_fields_is_read() -> None:
    document = msgspec.msgpack.decode(encode_record(PREDICTION))
    for name in ("views", "outcome", "fallback_from", "paired", "sampling_fraction", "routing", "charged"):
        del document[name]
    record = decode_record(msgspec.msgpack.encode(document))
    assert isinstance(record, PredictionRecord)
    assert (record.outcome, record.views, record.sampling_fraction, record.routing) == ("ok", [], 1.0, "split")
    assert (record.fallback_outcome, record.charged) == (None, True)
    paired = msgspec.msgpack.decode(encode_record(PAIRED))
    del paired["paired"]["charged"]
    assert decode_record(msgspec.msgpack.encode(paired)) == PAIRED


def test_feedback_that_was_written_before_is_read() -> None:
    assert encode_record(FEEDBACK) == FEEDBACK_BYTES
    assert decode_record(FEEDBACK_BYTES) == FEEDBACK


@pytest.mark.parametrize(
    ("landed", "start", "end", "after"),
    [(0, 0, 10, 10), (10, 10, 20, 20), (10, 0, 5, 10), (10, 5, 20, 20), (10, 11, 20, 10)],
)
def test_landed_offset(landed: int, start: int, end: int, after: int) -> None:
    assert advanced(landed, StreamBatch(segment="s", start=start, end=end, records=b"")) == after


@given(st.permutations(range(8)), st.integers(0, 7))
def test_the_offset_never_passes_a_batch_that_did_not_land(order: list[int], lost: int) -> None:
    landed = 0
    for number in order:
        if number != lost:
            landed = advanced(landed, StreamBatch(segment="s", start=number * 10, end=number * 10 + 10, records=b""))
    assert landed <= lost * 10
