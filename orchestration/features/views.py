"""The feature views in one table: what the columnar join, the online store and the model's inputs agree on.

Every row of a view carries `event_timestamp`, the instant at which its values are known; a reader at t takes the last
row with event_timestamp <= t, and takes nothing when that row is older than the view's ttl.
"""

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Literal

from orchestration.ingestion.partitions import midnight

PROJECT = "drift"
FEATURE_SERVICE = "flight_delay"

# A request is made this long before the scheduled departure.
LEAD = timedelta(minutes=60)
# How far back before a day its features read, by raw source: decayed means go back four days (decay.py), an arrival
# two more; a weather row goes back five hours.
WARM_UP = {"flights": timedelta(days=7), "weather": timedelta(days=1)}
# A departure up to this late is on time; a delay counts as late above it.
LATE_MIN = 15

# Feast keys a view without entities by this column, always empty. DuckDB's offline store does not add it: it is stored.
GLOBAL_KEY = "__dummy_id"

DType = Literal["float32", "int64", "instants"]

_HOUR = 3600


@dataclass(frozen=True)
class View:
    """One feature view.

    Attributes:
        name: Feast's name of the view, and its folder in the lake.
        join_keys: entity columns, String; none for a view of global values.
        features: (name, dtype) in order. int64 features are instants in UNIX seconds, known where the row exists;
            `instants` are ascending lists of such, as doubles.
        ttl_s: greatest age in seconds at which a row is still read.
    """

    name: str
    join_keys: tuple[str, ...]
    features: tuple[tuple[str, DType], ...]
    ttl_s: int

    @property
    def feature_names(self) -> tuple[str, ...]:
        """Names of the features in order."""
        return tuple(name for name, _ in self.features)

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns of the stored frame: event_timestamp, join keys (or GLOBAL_KEY), features."""
        return ("event_timestamp", *(self.join_keys or (GLOBAL_KEY,)), *self.feature_names)


def _floats(*names: str) -> tuple[tuple[str, DType], ...]:
    return tuple((name, "float32") for name in names)


VIEWS: tuple[View, ...] = (
    # hourly reports: one missed report is bridged, a second is not
    View("origin_weather", ("origin",), _floats("w_precip3", "w_visib", "w_wind_speed", "w_dpress"), 3 * _HOUR),
    # four half-lives and more, and over a quiet night
    View("origin_departures", ("origin",), _floats("e_org_dep_ewm1h_mean", "e_org_dep_ewm1h_late"), 24 * _HOUR),
    View(
        "carrier_origin_departures",
        ("carrier", "origin"),
        _floats("e_co_dep_ewm2h_mean", "e_co_dep_ewm2h_late"),
        24 * _HOUR,
    ),
    View("carrier_arrivals", ("carrier",), _floats("e_car_arr_ewm2h_mean", "e_car_arr_ewm2h_late"), 24 * _HOUR),
    View("dest_arrivals", ("dest",), _floats("e_dest_arr_ewm3h_mean", "e_dest_arr_ewm3h_late"), 24 * _HOUR),
    View("tail_arrivals", ("tailnum",), (("r_tail_last_arr_delay", "float32"), ("last_arr_at", "int64")), 24 * _HOUR),
    View("tail_departures", ("tailnum",), (("r_tail_last_dep_delay", "float32"), ("last_dep_at", "int64")), 24 * _HOUR),
    # instants, from which a reader counts what lies in its own window: exact until the next event, over a quiet night too
    View("origin_board", ("origin",), (("sched_at", "instants"), ("open_at", "instants")), 24 * _HOUR),
    View("nyc_departures", (), (("dep_at", "instants"), ("late_dep_at", "instants")), 24 * _HOUR),
)

BY_NAME = {view.name: view for view in VIEWS}
# How many days back the view with the longest ttl may be read.
LOOK_BACK_DAYS = -(-max(view.ttl_s for view in VIEWS) // (24 * _HOUR))


def view_window(start: date, end: date) -> tuple[datetime, datetime]:
    """The half-open range of `event_timestamp` held by the feature partitions of the days [start, end).

    Partition D holds [D - LEAD, D + 1 day - LEAD): what is known when requests for the flights of day D are made.
    So cut, it follows from the raw days up to D alone, because no flight leaves LEAD or more before its schedule
    (checked on ingestion): a partition by midnight would need the early departures of the next day.
    """
    return midnight(start) - LEAD, midnight(end) - LEAD
