"""What the UI says of columns is what is stored."""

from orchestration.features.columns import meaning, training_columns, view_table
from orchestration.features.training import COLUMNS
from orchestration.features.views import VIEWS
from orchestration.ingestion.columns import FLIGHTS, WEATHER
from tests.orchestration.features.lakes import real_flights, real_weather
from tests.orchestration.features.reference import random_flights, random_weather
from tests.orchestration.features.test_point_in_time import rows_of


def test_the_raw_columns_are_those_that_are_stored() -> None:
    assert {name: column.dtype for name, column in FLIGHTS.items()} == dict(real_flights().schema)
    assert {name: column.dtype for name, column in WEATHER.items()} == dict(real_weather().schema)


def test_the_training_columns_are_those_that_are_stored() -> None:
    rows = rows_of(random_flights(1), random_weather(1))
    assert {name: column.dtype for name, column in training_columns().items()} == dict(rows.schema)
    assert tuple(training_columns()) == COLUMNS


def test_every_feature_says_what_it_is() -> None:
    stored = {name for view in VIEWS for name, dtype in view.features if dtype == "float32"}
    assert len({meaning(name) for name in stored}) == len(stored)
    assert all(view.name in view_table() for view in VIEWS)
