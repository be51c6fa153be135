"""`python -m tests.bench.drift`: how long a drift report takes over a day of a million predictions."""

import argparse
import json
import resource
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import polars as pl

from orchestration.drift.judged import JudgedReport, report_on_log
from orchestration.features.inputs import vectors
from orchestration.features.views import VIEWS
from orchestration.ingestion.partitions import write_partitions
from orchestration.ingestion.predictions import PREDICTION_SCHEMA
from orchestration.rollout.act import serve_baseline
from orchestration.settings import Settings
from orchestration.training.contract import build_contract
from serving_gateway.contracts import ModelContract, ViewLayout
from serving_gateway.contracts.rollout import Arm
from serving_gateway.control.store import RolloutStore
from tests.bench.machine import processor
from tests.servers import redis_server
from tests.synthetic import START, synthetic_inputs, synthetic_rows

TRAINED_DAYS, TRAINED_ROWS = 90, 80_000
ROWS_A_FILE = 20_000
DAY = timedelta(days=1)
TRAINED_UNTIL = START + TRAINED_DAYS * DAY
NOW = TRAINED_UNTIL + 5 * DAY


def contract() -> ModelContract:
    """Of a model that was trained on TRAINED_ROWS made-up rows of TRAINED_DAYS days."""
    views = tuple(ViewLayout(name=v.name, join_keys=v.join_keys, features=(), ttl_s=v.ttl_s) for v in VIEWS)
    hour = timedelta(hours=1)
    return build_contract(
        b"", version="1", run_id="0", inputs=synthetic_inputs(), views=views, training_start=START - hour,
        training_end=TRAINED_UNTIL - hour,
    )  # fmt: skip


def write_lake(lake: Path, rows: int) -> None:
    """The training window, and a day of `rows` predictions that end at NOW, as the landing writes them."""
    trained = synthetic_rows(TRAINED_ROWS, days=TRAINED_DAYS).with_columns(
        carrier=pl.col("s_carrier"), origin=pl.col("s_origin"), sched_dep=pl.col("event_timestamp")
    )
    trained = trained.with_columns(pl.col("event_timestamp") - timedelta(hours=1))
    write_partitions(trained, lake / "training", START.date(), TRAINED_UNTIL.date(), day=pl.col("sched_dep").dt.date())
    for number, part in enumerate(_answered(rows).iter_slices(ROWS_A_FILE)):
        for (day,), of_day in (
            part.with_columns(day=pl.col("event_time").dt.date()).partition_by("day", as_dict=True).items()
        ):
            folder = lake / "predictions" / f"day={day}"
            folder.mkdir(parents=True, exist_ok=True)
            of_day.drop("day").write_parquet(folder / f"{number:05}.parquet")


def _answered(rows: int) -> pl.DataFrame:
    rng = np.random.default_rng(2013)
    asked = synthetic_rows(20_000, days=1, seed=8)
    made = vectors(asked, contract().inputs)[rng.integers(0, asked.height, rows)]
    at = pl.Series([NOW - DAY]).dt.cast_time_unit("us").new_from_index(0, rows) + pl.Series(
        np.sort(rng.integers(1, 86_400_000_000, rows)), dtype=pl.Duration("us")
    )
    views = pl.DataFrame(
        {
            "view": [view.name for view in VIEWS] * rows,
            "status": rng.choice(["present"] * 49 + ["missing"], len(VIEWS) * rows),
            "age_s": rng.exponential(1800, len(VIEWS) * rows),
        }
    )
    ids = pl.int_range(rows, eager=True).cast(pl.String).str.zfill(12)
    logged = pl.DataFrame(
        {
            "prediction_id": "00000000-0000-7000-8000-" + ids, "request_id": ids, "event_time": at, "served_at": at,
            "vector": pl.Series(made, dtype=pl.Array(pl.Float32, made.shape[1])).cast(pl.List(pl.Float32)),
            "views": views.to_struct("views").reshape((rows, len(VIEWS))).cast(PREDICTION_SCHEMA["views"]),
            "score": rng.random(rows),
        }
    ).with_columns(contract_digest=pl.lit(contract().digest), arm=pl.lit("baseline"), degraded=False)  # fmt: skip
    missing = [
        pl.lit(None, dtype).alias(name) for name, dtype in PREDICTION_SCHEMA.items() if name not in logged.columns
    ]
    return logged.with_columns(missing).select(PREDICTION_SCHEMA.names())


def reported(settings: Settings, store: RolloutStore) -> JudgedReport:
    """The report on the day that ends at NOW; its model is served first."""
    arm = Arm(model="m", version="1", triton_model="m_v1", contract_digest=store.put_contract(contract()))
    serve_baseline(store, arm, actor="bench", now=datetime.now(UTC))
    return report_on_log(settings, store, now=NOW, length=DAY)


def main(arguments: list[str] | None = None) -> int:
    """Print the figures as JSON; exit 0."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.bench.drift",
        description="Time a drift report over a day of predictions, from log to page.",
    )
    parser.add_argument("--rows", type=int, default=1_000_000, help="predictions of the day (default 1,000,000)")
    wanted = parser.parse_args(arguments)
    with TemporaryDirectory() as folder, redis_server(Path(folder)) as redis:
        settings, store = Settings(home=Path(folder)), RolloutStore.connect(redis.url)
        write_lake(settings.lake, wanted.rows)
        peak_before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        seconds, cpu = time.perf_counter(), time.process_time()
        judged = reported(settings, store)
        figures = {
            "rows": judged.rows,
            "seconds": round(time.perf_counter() - seconds, 2),
            "cpu_seconds": round(time.process_time() - cpu, 2),
            "peak_mib": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
            "peak_mib_before": round(peak_before / 1024),
            "machine": processor(),
        }
    print(json.dumps(figures, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
