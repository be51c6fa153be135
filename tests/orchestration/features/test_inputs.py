import math

import numpy as np
import polars as pl

from orchestration.features.compute import compute_views
from orchestration.features.inputs import model_inputs, vectors, vocabularies
from orchestration.features.training import FEATURES, training_rows
from orchestration.features.views import BY_NAME
from serving_gateway.contracts.model import (
    CountWithin,
    Feature,
    MinutesSince,
    RequestField,
    ShareWithin,
    stored_features,
)
from tests.orchestration.features.reference import START, random_flights, random_weather

VOCABULARIES = {"carrier": ("AA", "B6"), "origin": ("EWR", "JFK", "LGA")}


def rows() -> pl.DataFrame:
    flights = random_flights(7)
    day = START.date()
    return training_rows(flights, compute_views(flights, random_weather(7), day, day.replace(day=day.day + 3)))


def test_the_26_inputs_in_order() -> None:
    assert [i.name for i in model_inputs(VOCABULARIES)] == [
        *("s_carrier", "s_origin", "s_dow", "s_distance", "s_block", "s_dep_min", "s_sched_load"),
        *("w_precip3", "w_visib", "w_wind_speed", "w_dpress"),
        *("e_org_dep_ewm1h_mean", "e_org_dep_ewm1h_late", "e_co_dep_ewm2h_mean", "e_co_dep_ewm2h_late"),
        *("e_car_arr_ewm2h_mean", "e_car_arr_ewm2h_late", "e_dest_arr_ewm3h_mean", "e_dest_arr_ewm3h_late"),
        *("r_tail_last_arr_delay", "r_tail_min_since_arr", "r_tail_last_dep_delay", "r_tail_min_since_dep"),
        *("r_org_overdue_n", "r_org_overdue_share", "r_nyc_dep_1h_late_share"),
    ]


def test_every_source_exists() -> None:
    frame = rows()
    for i in model_inputs(VOCABULARIES):
        if isinstance(i.source, RequestField):
            assert i.source.field in frame.columns
            assert i.name == f"s_{i.source.field}"
        else:
            needs = {Feature: "float32", MinutesSince: "int64", CountWithin: "instants", ShareWithin: "instants"}
            for view, feature in stored_features(i.source):
                assert dict(BY_NAME[view].features)[feature] == needs[type(i.source)]


def test_vocabularies_are_the_sorted_values_of_the_rows() -> None:
    assert vocabularies(rows()) == VOCABULARIES


def test_vectors_follow_the_inputs_order_and_policies() -> None:
    frame = rows()
    inputs = model_inputs(VOCABULARIES | {"origin": ("JFK", "LGA")})
    matrix = vectors(frame, inputs)
    assert matrix.dtype == np.float32
    assert matrix.shape == (frame.height, 26)
    for j, name in enumerate(FEATURES):
        for value, cell in zip(frame[name].to_list(), matrix[:, j], strict=True):
            vocabulary = inputs[j].vocabulary
            expected = dict(zip(vocabulary, range(9), strict=False)).get(value) if vocabulary else value
            assert math.isnan(cell) if expected is None else cell == np.float32(expected)
    assert np.isnan(matrix[:, 1]).any()


def test_inputs_can_be_reordered() -> None:
    frame = rows().head(5)
    inputs = model_inputs(VOCABULARIES)
    assert np.array_equal(vectors(frame, inputs[::-1]), vectors(frame, inputs)[:, ::-1], equal_nan=True)
