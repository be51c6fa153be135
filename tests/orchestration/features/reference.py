"""The features by definition: one flight at a time, over every event, with no regard for speed."""

import math
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import polars as pl

START = datetime(2013, 6, 1, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
Row = dict[str, Any]


def random_flights(seed: int, *, n: int = 250, days: int = 3) -> pl.DataFrame:
    """Tidy flights with few keys, many ties, cancellations, lost arrivals and early departures."""
    rng = np.random.default_rng(seed)
    sched = np.sort(rng.integers(0, days * 288, n)) * 5
    delay = np.clip(rng.gamma(0.6, 40, n).astype(int) * 5 - 20, -55, 400)
    block = rng.integers(10, 70, n) * 5
    cancelled, lost = rng.random(n) < 0.08, rng.random(n) < 0.05
    rows = []
    for i in range(n):
        sched_dep = START + int(sched[i]) * MINUTE
        sched_arr = sched_dep + int(block[i]) * MINUTE
        arr_delay = None if cancelled[i] or lost[i] else int(delay[i] + rng.integers(-4, 5) * 5)
        dep_delay = None if cancelled[i] else int(delay[i])
        rows.append(
            {
                "request_id": f"R{i:04}",
                "sched_dep": sched_dep,
                "dep": None if dep_delay is None else sched_dep + dep_delay * MINUTE,
                "sched_arr": sched_arr,
                "arr": None if arr_delay is None else sched_arr + arr_delay * MINUTE,
                "cancelled": dep_delay is None,
                "dep_delay": dep_delay,
                "arr_delay": arr_delay,
                "carrier": str(rng.choice(["AA", "B6"])),
                "flight": i,
                "tailnum": f"N{rng.integers(0, 25)}",
                "origin": str(rng.choice(["EWR", "JFK", "LGA"])),
                "dest": str(rng.choice(["ATL", "BOS", "MIA"])),
                "distance": int(rng.integers(100, 2000)),
                "dow": sched_dep.isoweekday(),
                "dep_min": sched_dep.hour * 60 + sched_dep.minute,
                "block": int(block[i]),
                "sched_load": int(rng.integers(1, 40)),
            }
        )
    utc = pl.Datetime("us", "UTC")
    overrides = dict.fromkeys(("sched_dep", "dep", "sched_arr", "arr"), utc) | dict.fromkeys(
        ("dep_delay", "arr_delay", "flight", "distance", "dow", "dep_min", "block", "sched_load"), pl.Int32
    )
    return pl.DataFrame(rows, schema_overrides=overrides, infer_schema_length=None).sort("sched_dep", "request_id")


def random_weather(seed: int, *, days: int = 3) -> pl.DataFrame:
    """Hourly reports with gaps and missing pressures."""
    rng = np.random.default_rng(seed)
    rows = [
        {
            "origin": origin,
            "time_hour": START + timedelta(hours=hour),
            "precip": float(rng.random() < 0.2) * 0.1,
            "pressure": None if rng.random() < 0.2 else float(rng.normal(1013, 5)),
            "visib": float(rng.integers(1, 11)),
            "wind_speed": float(rng.gamma(2, 5)),
        }
        for origin in ("EWR", "JFK", "LGA")
        for hour in range(days * 24)
        if rng.random() > 0.15
    ]
    return pl.DataFrame(rows, schema_overrides={"time_hour": pl.Datetime("us", "UTC"), "pressure": pl.Float64})


def reference(row: Row, flights: list[Row], weather: list[Row]) -> dict[str, float | None]:
    """The 19 stored and derived features of one flight at t = sched_dep - 60 min. None: nothing known, or expired."""
    t = row["sched_dep"] - 60 * MINUTE
    departed = [(f["dep"], f["dep_delay"], f) for f in flights if f["dep"] is not None and f["dep"] <= t]
    arrived = [(f["arr"], f["arr_delay"], f) for f in flights if f["arr"] is not None and f["arr"] <= t]

    def of(events: list[Any], *keys: str) -> list[tuple[datetime, int]]:
        return [(at, delay) for at, delay, f in events if all(f[k] == row[k] for k in keys)]

    return {
        **_weather(t, [w for w in weather if w["origin"] == row["origin"]]),
        **_decayed("e_org_dep_ewm1h", t, of(departed, "origin"), 1),
        **_decayed("e_co_dep_ewm2h", t, of(departed, "carrier", "origin"), 2),
        **_decayed("e_car_arr_ewm2h", t, of(arrived, "carrier"), 2),
        **_decayed("e_dest_arr_ewm3h", t, of(arrived, "dest"), 3),
        **_last("arr", t, [(at, f["request_id"], d) for at, d, f in arrived if f["tailnum"] == row["tailnum"]]),
        **_last("dep", t, [(at, f["request_id"], d) for at, d, f in departed if f["tailnum"] == row["tailnum"]]),
        **_board(t, [f for f in flights if f["origin"] == row["origin"]]),
        "r_nyc_dep_1h_late_share": _share(departed, lambda e: e[0] > t - 60 * MINUTE, lambda e: e[1] > 15),
    }


def _weather(t: datetime, reports: list[Row]) -> dict[str, float | None]:
    known = [w for w in reports if w["time_hour"] + 60 * MINUTE <= t]
    names = ("w_precip3", "w_visib", "w_wind_speed", "w_dpress")
    if not known:
        return dict.fromkeys(names)
    now = max(known, key=lambda w: w["time_hour"])
    hour = now["time_hour"]
    if t - (hour + 60 * MINUTE) > timedelta(hours=3):
        return dict.fromkeys(names)
    before = {w["time_hour"]: w["pressure"] for w in known}.get(hour - timedelta(hours=3))
    trend = None if before is None or now["pressure"] is None else now["pressure"] - before
    precip = sum(w["precip"] for w in known if hour - timedelta(hours=3) < w["time_hour"])
    return dict(zip(names, (precip, now["visib"], now["wind_speed"], trend), strict=True))


def _decayed(name: str, t: datetime, events: list[tuple[datetime, int]], half_life_h: float) -> dict[str, float | None]:
    if not events or t - max(at for at, _ in events) > timedelta(hours=24):
        return {f"{name}_mean": None, f"{name}_late": None}
    weights = [2 ** -((t - at) / timedelta(hours=half_life_h)) for at, _ in events]
    total = math.fsum(weights)
    mean = math.fsum(w * min(max(delay, -15), 180) for w, (_, delay) in zip(weights, events, strict=True)) / total
    late = math.fsum(w for w, (_, delay) in zip(weights, events, strict=True) if delay > 15) / total
    return {f"{name}_mean": mean, f"{name}_late": late}


def _last(kind: str, t: datetime, events: list[tuple[datetime, str, int]]) -> dict[str, float | None]:
    names = (f"r_tail_last_{kind}_delay", f"r_tail_min_since_{kind}")
    if not events or t - max(events)[0] > timedelta(hours=24):
        return dict.fromkeys(names)
    at, _, delay = max(events)
    return dict(zip(names, (float(delay), (t - at) / MINUTE), strict=True))


def _board(t: datetime, flights: list[Row]) -> dict[str, float | None]:
    due = [f for f in flights if t - 180 * MINUTE < f["sched_dep"] <= t - 15 * MINUTE]
    overdue = [f for f in due if f["dep"] is None or f["dep"] > t]
    return {
        "r_org_overdue_n": float(len(overdue)),
        "r_org_overdue_share": len(overdue) / len(due) if due else None,
    }


def _share(events: Iterable[Any], among: Callable[[Any], bool], hit: Callable[[Any], bool]) -> float | None:
    chosen = [e for e in events if among(e)]
    return sum(map(hit, chosen)) / len(chosen) if chosen else None
