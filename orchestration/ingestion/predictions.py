"""Landing of the prediction log: from the Redis stream to Parquet, exactly once for its readers.

An entry leaves the stream only after its records are on disk; a crash in between lands it again, and readers
deduplicate by prediction id. The landed offset of each spool segment tells the gateways what they may delete.
"""

import fcntl
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any

import msgspec
import polars as pl
import redis

from serving_gateway.contracts.prediction import FeedbackRecord, PairedRecord, PredictionRecord
from serving_gateway.contracts.prediction_log import StreamBatch, advanced
from serving_gateway.control import keys

BATCHES_A_FILE = 500

_UTC: pl.DataType = pl.Datetime("us", "UTC")
_NAMED: pl.DataType = pl.List(pl.Struct({"name": pl.String, "value": pl.String}))
_VIEWS: pl.DataType = pl.List(pl.Struct({"view": pl.String, "status": pl.String, "age_s": pl.Float64}))
_VECTOR: pl.DataType = pl.List(pl.Float32)
PREDICTION_SCHEMA = pl.Schema(
    {
        "prediction_id": pl.String(),
        "request_id": pl.String(),
        "event_time": _UTC,
        "served_at": _UTC,
        "arm": pl.String(),
        "model": pl.String(),
        "model_version": pl.String(),
        "triton_model": pl.String(),
        "contract_digest": pl.String(),
        "epoch": pl.Int64(),
        "generation": pl.Int64(),
        "entities": _NAMED,
        "vector": _VECTOR,
        "views": _VIEWS,
        "score": pl.Float64(),
        "decision": pl.Boolean(),
        "latency_us": pl.Int64(),
        "outcome": pl.String(),
        "fallback_from": pl.String(),
        "sampling_fraction": pl.Float64(),
        "routing": pl.String(),
        "degraded": pl.Boolean(),
        "fallback_outcome": pl.String(),
        "charged": pl.Boolean(),
        "queued": pl.Boolean(),
    }
)
PAIRED_SCHEMA = pl.Schema(
    {
        "prediction_id": pl.String(),
        "event_time": _UTC,
        "arm": pl.String(),
        "model_version": pl.String(),
        "triton_model": pl.String(),
        "outcome": pl.String(),
        "score": pl.Float64(),
        "latency_us": pl.Int64(),
        "charged": pl.Boolean(),
    }
)
# What a field had that was not written yet: the defaults of the records.
_DEFAULTS = {"routing": "split", "degraded": False, "charged": True, "queued": False}
# The first 48 bits of a UUIDv7 are the UNIX milliseconds of its making (RFC 9562, section 5.7).
_ID_MS = (
    pl.col("prediction_id").str.slice(0, 13).str.replace("-", "", literal=True).str.to_integer(base=16, strict=False)
)
_ID_DAY = pl.from_epoch(_ID_MS, "ms").dt.date()
_EVENT_DAY = pl.col("event_time").dt.date()
FEEDBACK_SCHEMA = pl.Schema(
    {"prediction_id": pl.String(), "outcome": pl.Boolean(), "observed_at": _UTC, "received_at": _UTC}
)


@dataclass(frozen=True)
class Landed:
    """What one landing moved, duplicates included."""

    predictions: int
    paired: int
    feedback: int
    batches: int


def land(client: "redis.Redis", lake: Path) -> Landed:
    """Move everything in the prediction stream to `lake`: predictions/ and paired/ by event day, feedback/ by the id's day.

    Feedback lies by the day on which its prediction's id was made: whoever writes it knows no more of the prediction than
    the id, whoever reads it has the ids, and late feedback lies where the reader looks anyway.
    One landing at a time, over processes: a second one waits for the first. Raises msgspec.ValidationError on a
    foreign entry, which stays in the stream.
    """
    lake.mkdir(parents=True, exist_ok=True)
    with (lake / "landing.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        return _land(client, lake)


def _land(client: "redis.Redis", lake: Path) -> Landed:
    total = Landed(0, 0, 0, 0)
    while found := _next_batches(client):
        records = [record for _, batch in found for record in batch.decoded()]
        rows = [_prediction_row(r) for r in records if isinstance(r, PredictionRecord)]
        pairs = [_paired_row(r) for r in records if isinstance(r, PairedRecord)]
        name = f"{found[0][0].decode()}_{found[-1][0].decode()}.parquet"
        reports = [_feedback_row(r) for r in records if isinstance(r, FeedbackRecord)]
        _write(pl.DataFrame(rows, schema=PREDICTION_SCHEMA), lake / "predictions", name, day=_EVENT_DAY)
        _write(pl.DataFrame(pairs, schema=PAIRED_SCHEMA), lake / "paired", name, day=_EVENT_DAY)
        _write(pl.DataFrame(reports, schema=FEEDBACK_SCHEMA), lake / "feedback", name, day=_ID_DAY)
        _acknowledge(client, found)
        total = Landed(
            total.predictions + len(rows),
            total.paired + len(pairs),
            total.feedback + len(reports),
            total.batches + len(found),
        )
    return total


def read_predictions(lake: Path, start: datetime, end: datetime) -> pl.DataFrame:
    """Predictions with an event time in [start, end), each once, in order of event time and prediction id."""
    return _read(lake / "predictions", PREDICTION_SCHEMA, ["prediction_id"], start, end)


def scan_predictions(lake: Path, start: datetime, end: datetime) -> pl.LazyFrame:
    """`read_predictions` before it is read: in no order, and what landed twice is there twice."""
    return _scan_days(lake / "predictions", PREDICTION_SCHEMA, start, end)


def read_trial(lake: Path, since: tuple[int, int]) -> pl.DataFrame:
    """Predictions made at the rollout's position `since` or later, whatever their event time, each once, in event order."""
    files = sorted((lake / "predictions").glob("day=*/*.parquet"))
    if not files:
        return PREDICTION_SCHEMA.to_frame()
    epoch, generation = since
    of_it = (pl.col("epoch") > epoch) | ((pl.col("epoch") == epoch) & (pl.col("generation") >= generation))
    return _once(_scan(files, PREDICTION_SCHEMA).filter(of_it).collect(), ["prediction_id"])


def read_paired(lake: Path, start: datetime, end: datetime) -> pl.DataFrame:
    """Background scores of predictions with an event time in [start, end), each arm once a prediction."""
    return _read(lake / "paired", PAIRED_SCHEMA, ["prediction_id", "arm"], start, end)


def read_feedback(lake: Path, prediction_ids: pl.Series, now: datetime) -> pl.DataFrame:
    """What was observed of these predictions until `now` (event clock), each once: the last observation holds.

    Columns prediction_id, outcome, observed_at, received_at. Of two made at one instant the one received last holds, and
    where that is one instant too, the outcome true: an order that no duplicate and no delay can change.
    """
    days = prediction_ids.to_frame("prediction_id").select(_ID_DAY.unique().sort()).to_series()
    files = [path for day in days for path in sorted((lake / "feedback" / f"day={day}").glob("*.parquet"))]
    if not files:
        return FEEDBACK_SCHEMA.to_frame()
    return (
        pl.scan_parquet(files, hive_partitioning=False)
        .filter(pl.col("observed_at") <= now, pl.col("prediction_id").is_in(prediction_ids.implode()))
        .sort("observed_at", "received_at", "outcome")
        .unique("prediction_id", keep="last")
        .sort("prediction_id")
        .collect()
    )


def _next_batches(client: "redis.Redis") -> list[tuple[bytes, StreamBatch]]:
    entries: list[tuple[bytes, dict[bytes, bytes]]] = client.xrange(keys.PREDICTIONS, count=BATCHES_A_FILE)  # type: ignore[assignment]
    return [(entry_id, StreamBatch.from_fields(fields)) for entry_id, fields in entries]


def _acknowledge(client: "redis.Redis", found: list[tuple[bytes, StreamBatch]]) -> None:
    offsets: dict[str, int] = {}
    for _, batch in found:
        known = offsets.get(batch.segment)
        if known is None:
            known = int(client.hget(keys.LANDED, batch.segment) or 0)
        offsets[batch.segment] = advanced(known, batch)
    with client.pipeline(transaction=True) as pipe:
        pipe.hset(keys.LANDED, mapping=offsets)  # type: ignore[arg-type]
        pipe.xdel(keys.PREDICTIONS, *(entry_id for entry_id, _ in found))
        pipe.execute()


def _write(frame: pl.DataFrame, folder: Path, name: str, *, day: pl.Expr) -> None:
    by_day = frame.with_columns(day=day).partition_by("day", as_dict=True, include_key=False)
    for (which,), part in by_day.items():
        target = folder / f"day={which}" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        staged = target.with_suffix(".tmp")
        part.write_parquet(staged)
        staged.replace(target)


def _read(folder: Path, schema: pl.Schema, identity: list[str], start: datetime, end: datetime) -> pl.DataFrame:
    return _once(_scan_days(folder, schema, start, end).collect(), identity)


def _scan_days(folder: Path, schema: pl.Schema, start: datetime, end: datetime) -> pl.LazyFrame:
    days = [day for day in sorted(folder.glob("day=*")) if _overlaps(day, start, end)]
    files = [file for day in days for file in sorted(day.glob("*.parquet"))]
    rows = _scan(files, schema) if files else schema.to_frame().lazy()
    return rows.filter(pl.col("event_time").is_between(start, end, closed="left"))


def _scan(files: list[Path], schema: pl.Schema) -> pl.LazyFrame:
    """Rows of files that may have been written before their record had all of its fields: those have the defaults."""
    rows = pl.scan_parquet(files, schema=schema, missing_columns="insert", hive_partitioning=False)
    return rows.with_columns(pl.col(name).fill_null(value) for name, value in _DEFAULTS.items() if name in schema)


def _once(rows: pl.DataFrame, identity: list[str]) -> pl.DataFrame:
    return rows.unique(identity, keep="first", maintain_order=True).sort("event_time", "prediction_id")


def _overlaps(folder: Path, start: datetime, end: datetime) -> bool:
    return start.date() <= date.fromisoformat(folder.name.removeprefix("day=")) <= end.date()


def _prediction_row(record: PredictionRecord) -> dict[str, Any]:
    row = msgspec.structs.asdict(record)
    row["event_time"] = record.event_time_us
    row["served_at"] = record.served_at_us
    row["entities"] = [{"name": name, "value": value} for name, value in record.entities.items()]
    row["views"] = [msgspec.structs.asdict(view) for view in record.views]
    return {name: row[name] for name in PREDICTION_SCHEMA}


def _paired_row(record: PairedRecord) -> dict[str, Any]:
    row = msgspec.structs.asdict(record.paired)
    row |= {"prediction_id": record.prediction_id, "event_time": record.event_time_us}
    return {name: row[name] for name in PAIRED_SCHEMA}


def _feedback_row(record: FeedbackRecord) -> dict[str, Any]:
    row = msgspec.structs.asdict(record)
    row |= {"observed_at": record.observed_at_us, "received_at": record.received_at_us}
    return {name: row[name] for name in FEEDBACK_SCHEMA}
