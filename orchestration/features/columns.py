"""The columns of training rows and feature views: type and meaning."""

import polars as pl

from orchestration.features.inputs import model_inputs
from orchestration.features.training import ENTITIES, REQUEST_FIELDS
from orchestration.features.views import VIEWS
from orchestration.ingestion.columns import FLIGHTS, Column
from serving_gateway.contracts.model import RequestField

_INSTANT = pl.Datetime("us", "UTC")
_LABEL = {
    "request_id": FLIGHTS["request_id"],
    "sched_dep": FLIGHTS["sched_dep"],
    "event_timestamp": Column(_INSTANT, "when the request is made, 60 minutes before sched_dep"),
    "label": Column(pl.Int8(), "1: not off the gate by sched_dep + 15 min, cancellations included"),
    "label_known_at": Column(_INSTANT, "when the label was certain: departure, at the latest sched_dep + 15 min"),
}
_MEANING = {
    "w_precip3": "inches of rain in the last three reported hours at the origin",
    "w_visib": "visibility at the origin, miles",
    "w_wind_speed": "wind at the origin, miles an hour",
    "w_dpress": "millibars gained in three hours at the origin",
    "e_org_dep_ewm1h": "departures of the origin, half-life 1 h",
    "e_co_dep_ewm2h": "departures of the carrier from the origin, half-life 2 h",
    "e_car_arr_ewm2h": "arrivals of the carrier, half-life 2 h",
    "e_dest_arr_ewm3h": "arrivals at the destination, half-life 3 h",
    "r_tail_last_arr_delay": "delay of the aircraft's last arrival, minutes",
    "r_tail_min_since_arr": "minutes since it",
    "r_tail_last_dep_delay": "delay of the aircraft's last departure, minutes",
    "r_tail_min_since_dep": "minutes since it",
    "r_org_overdue_n": "flights of the origin that should have left 15 to 180 minutes ago and have not",
    "r_org_overdue_share": "their share of those scheduled then",
    "r_nyc_dep_1h_late_share": "share of late departures among all of New York's in the last hour",
}
_STATISTIC = {"mean": "decayed mean delay in minutes, of", "late": "decayed share more than 15 minutes late, of"}


def training_columns() -> dict[str, Column]:
    """Columns of training rows, in order: key, times, label, the request, the 26 features."""
    inputs = model_inputs({"carrier": (), "origin": ()})
    features = {
        i.name: FLIGHTS[i.source.field] if isinstance(i.source, RequestField) else Column(pl.Float32(), meaning(i.name))
        for i in inputs
    }
    return _LABEL | {name: FLIGHTS[name] for name in (*ENTITIES, *REQUEST_FIELDS)} | features


def meaning(feature: str) -> str:
    """What a stored or derived feature says."""
    stem, _, statistic = feature.rpartition("_")
    return f"{_STATISTIC[statistic]} {_MEANING[stem]}" if stem in _MEANING else _MEANING[feature]


def view_table() -> str:
    """The feature views as a markdown table: keys, features, greatest age."""
    lines = ["| view | keys | features | read for |", "|---|---|---|---|"]
    for view in VIEWS:
        keys, features = ", ".join(view.join_keys) or "(global)", ", ".join(view.feature_names)
        lines.append(f"| `{view.name}` | {keys} | {features} | {view.ttl_s / 3600:g} h |")
    return "\n".join(lines)
