"""Feast's definitions of the flight features. Feast imports this module by itself; nobody else does.

The same views stand in orchestration/features/views.py; a test holds the two together.
"""

import os
from datetime import timedelta
from pathlib import Path

from feast import Entity, FeatureService, FeatureView, Field, FileSource, Project
from feast.data_format import ParquetFormat
from feast.types import Array, Float32, Float64, Int64, String
from feast.value_type import ValueType

LAKE = Path(os.environ["PLATFORM_HOME"]) / "lake"

project = Project(name="drift", description="Flights that leave New York")

origin = Entity(name="origin", join_keys=["origin"], value_type=ValueType.STRING, description="Airport of departure")
carrier = Entity(name="carrier", join_keys=["carrier"], value_type=ValueType.STRING, description="Airline, two letters")
dest = Entity(name="dest", join_keys=["dest"], value_type=ValueType.STRING, description="Airport of arrival")
tailnum = Entity(name="tailnum", join_keys=["tailnum"], value_type=ValueType.STRING, description="Aircraft")


def _view(name: str, entities: list[Entity], features: list[Field], ttl: timedelta) -> FeatureView:
    """A view over the daily files that lie in the lake under the view's name."""
    folder = str(LAKE / "features" / name)
    source = FileSource(name=name, path=folder, file_format=ParquetFormat(), timestamp_field="event_timestamp")
    keys = [Field(name=entity.join_key, dtype=String) for entity in entities]
    return FeatureView(name=name, entities=entities, schema=keys + features, ttl=ttl, source=source, online=True)


def _floats(*names: str) -> list[Field]:
    return [Field(name=name, dtype=Float32) for name in names]


def _instants(*names: str) -> list[Field]:
    """Ascending lists of UNIX seconds."""
    return [Field(name=name, dtype=Array(Float64)) for name in names]


origin_weather = _view(
    "origin_weather",
    [origin],
    _floats("w_precip3", "w_visib", "w_wind_speed", "w_dpress"),
    timedelta(hours=3),
)
origin_departures = _view(
    "origin_departures",
    [origin],
    _floats("e_org_dep_ewm1h_mean", "e_org_dep_ewm1h_late"),
    timedelta(hours=24),
)
carrier_origin_departures = _view(
    "carrier_origin_departures",
    [carrier, origin],
    _floats("e_co_dep_ewm2h_mean", "e_co_dep_ewm2h_late"),
    timedelta(hours=24),
)
carrier_arrivals = _view(
    "carrier_arrivals",
    [carrier],
    _floats("e_car_arr_ewm2h_mean", "e_car_arr_ewm2h_late"),
    timedelta(hours=24),
)
dest_arrivals = _view(
    "dest_arrivals",
    [dest],
    _floats("e_dest_arr_ewm3h_mean", "e_dest_arr_ewm3h_late"),
    timedelta(hours=24),
)
tail_arrivals = _view(
    "tail_arrivals",
    [tailnum],
    [*_floats("r_tail_last_arr_delay"), Field(name="last_arr_at", dtype=Int64)],
    timedelta(hours=24),
)
tail_departures = _view(
    "tail_departures",
    [tailnum],
    [*_floats("r_tail_last_dep_delay"), Field(name="last_dep_at", dtype=Int64)],
    timedelta(hours=24),
)
origin_board = _view(
    "origin_board",
    [origin],
    _instants("sched_at", "open_at"),
    timedelta(hours=24),
)
# Feast keys a view without entities by an empty `__dummy_id`, but materialization with DuckDB reads only declared columns.
nyc_departures = _view(
    "nyc_departures",
    [],
    [Field(name="__dummy_id", dtype=String), *_instants("dep_at", "late_dep_at")],
    timedelta(hours=24),
)

flight_delay = FeatureService(
    name="flight_delay",
    description="What the flight delay models read",
    features=[
        origin_weather,
        origin_departures,
        carrier_origin_departures,
        carrier_arrivals,
        dest_arrivals,
        tail_arrivals,
        tail_departures,
        origin_board,
        nyc_departures[["dep_at", "late_dep_at"]],
    ],
)
