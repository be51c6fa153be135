"""The prediction log's bytes: frames in spool segments, batches of frames in the Redis stream.

A record is MessagePack (JSON has no NaN, and a vector may hold it), tagged by `kind`. A frame is the payload's length and
CRC-32, both little-endian u32, and the payload: a torn tail is seen by its length, torn content by its checksum.
"""

import struct
import zlib
from collections.abc import Iterable, Mapping

import msgspec
from msgspec import Struct

from serving_gateway.contracts.prediction import LogRecord

_HEAD = struct.Struct("<II")
_encoder = msgspec.msgpack.Encoder()
_record_decoder: msgspec.msgpack.Decoder[LogRecord] = msgspec.msgpack.Decoder(LogRecord)
_batch_decoder: msgspec.msgpack.Decoder[list[LogRecord]] = msgspec.msgpack.Decoder(list[LogRecord])


class StreamBatch(Struct, frozen=True, kw_only=True):
    """One entry of the prediction stream: the frames of `segment` from byte `start` to byte `end`.

    Delivery is at least once: entries may repeat or overlap, so readers deduplicate by prediction id (and, for paired
    records, arm; of feedback the latest holds). `records` is a MessagePack array.
    """

    segment: str
    start: int
    end: int
    records: bytes

    def to_fields(self) -> dict[str, str | int | bytes]:
        """Field-value pairs for XADD."""
        return {"segment": self.segment, "start": self.start, "end": self.end, "records": self.records}

    @classmethod
    def from_fields(cls, fields: Mapping[bytes, bytes]) -> "StreamBatch":
        """Parse one entry as XREAD and XRANGE return it. Raises KeyError or ValueError on a foreign entry."""
        return cls(
            segment=fields[b"segment"].decode(),
            start=int(fields[b"start"]),
            end=int(fields[b"end"]),
            records=fields[b"records"],
        )

    def decoded(self) -> list[LogRecord]:
        """The records in the order they were logged. Raises msgspec.ValidationError with the offending path."""
        return _batch_decoder.decode(self.records)


def advanced(landed: int, batch: StreamBatch) -> int:
    """The segment's landed offset after `batch` has landed, given the offset before.

    A batch behind a gap lands but does not advance the offset: the gateway ships the gap again, and keeps the segment
    until the offset reaches its end.
    """
    return max(landed, batch.end) if batch.start <= landed else landed


def encode_record(record: LogRecord) -> bytes:
    """MessagePack of one record."""
    return _encoder.encode(record)


def decode_record(payload: bytes) -> LogRecord:
    """Inverse of `encode_record`. Raises msgspec.ValidationError."""
    return _record_decoder.decode(payload)


def encode_records(payloads: Iterable[bytes]) -> bytes:
    """A MessagePack array of already encoded records."""
    return _encoder.encode([msgspec.Raw(p) for p in payloads])


def encode_frame(payload: bytes) -> bytes:
    """Length, checksum, payload."""
    return _HEAD.pack(len(payload), zlib.crc32(payload)) + payload


def read_frames(data: bytes) -> tuple[list[bytes], int]:
    """Payloads of the whole frames at the start of `data`, and how many bytes they take.

    Stops at the first frame that is incomplete or whose checksum does not match.
    """
    payloads, at = [], 0
    while at + _HEAD.size <= len(data):
        length, checksum = _HEAD.unpack_from(data, at)
        payload = data[at + _HEAD.size : at + _HEAD.size + length]
        if len(payload) < length or zlib.crc32(payload) != checksum or not length:
            break
        payloads.append(payload)
        at += _HEAD.size + length
    return payloads, at
