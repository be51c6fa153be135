"""What a partition of flights must look like: one Great Expectations suite, for a blocking check."""

import logging
import os
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, redirect_stderr
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from orchestration.ingestion.tidy import FLIGHT_COLUMNS

ORIGINS = ("EWR", "JFK", "LGA")
KEY = ("carrier", "flight", "sched_dep")
# Feature partitions are cut an hour before midnight: no flight may leave an hour or more before its schedule.
EARLIEST_DEPARTURE_MIN = -59
_NULLABLE = ("dep", "arr", "dep_delay", "arr_delay")
_RANGES = {
    "dep_delay": (EARLIEST_DEPARTURE_MIN, 2880),
    "arr_delay": (-180, 2880),
    "distance": (1, 6000),
    "block": (10, 1439),
    "dow": (1, 7),
    "dep_min": (0, 1439),
    "sched_load": (1, 200),
}
_EXAMPLES = 5


@dataclass(frozen=True)
class Violation:
    """One failed expectation: the column (or columns) it is about, its rule, the rows that break it, some values."""

    column: str
    rule: str
    count: int
    examples: tuple[str, ...]


@dataclass(frozen=True)
class Validation:
    """The outcome of the suite over `rows` rows; `expectations` were checked."""

    rows: int
    expectations: int
    violations: tuple[Violation, ...]

    @property
    def success(self) -> bool:
        """Whether every expectation held."""
        return not self.violations


def validate_flights(frame: pl.DataFrame) -> Validation:
    """Check tidy flights (one day or many): columns, nulls, ranges, allowed origins, outcomes that agree, unique keys.

    An empty frame fails. Great Expectations takes pandas, so the frame is copied at this edge. Nothing is printed
    or kept.
    """
    with _quiet():
        import great_expectations as gx

        context: Any = gx.get_context(mode="ephemeral")
        context.variables.progress_bars = {"globally": False}
        asset = context.data_sources.add_pandas("lake").add_dataframe_asset("flights")
        batch = asset.add_batch_definition_whole_dataframe("partition").get_batch({"dataframe": frame.to_pandas()})
        suite = gx.ExpectationSuite(name="flights", expectations=_expectations())
        outcome = batch.validate(
            suite, result_format={"result_format": "SUMMARY", "partial_unexpected_count": _EXAMPLES}
        )
    violations = tuple(_violation(result, frame.height) for result in outcome.results if not result.success)
    return Validation(frame.height, len(outcome.results), violations)


def _expectations() -> list[Any]:
    from great_expectations import expectations

    gxe: Any = expectations  # re-exports its classes in a way that the type checker does not follow
    required = [column for column in FLIGHT_COLUMNS if column not in _NULLABLE]
    return [
        gxe.ExpectTableColumnsToMatchSet(column_set=list(FLIGHT_COLUMNS), exact_match=True),
        gxe.ExpectTableRowCountToBeBetween(min_value=1),
        *(gxe.ExpectColumnValuesToNotBeNull(column=column) for column in required),
        *(
            gxe.ExpectColumnValuesToBeBetween(column=column, min_value=low, max_value=high)
            for column, (low, high) in _RANGES.items()
        ),
        gxe.ExpectColumnValuesToBeInSet(column="origin", value_set=list(ORIGINS)),
        gxe.ExpectColumnValuesToNotBeNull(column="dep", row_condition="cancelled == False", condition_parser="pandas"),
        gxe.ExpectColumnValuesToBeNull(column="dep", row_condition="cancelled == True", condition_parser="pandas"),
        gxe.ExpectCompoundColumnsToBeUnique(column_list=list(KEY)),
        gxe.ExpectColumnValuesToBeUnique(column="request_id"),
    ]


def _violation(result: Any, rows: int) -> Violation:
    config, found = result.expectation_config, result.result
    kwargs: Mapping[str, Any] = config.kwargs
    column = kwargs.get("column") or ", ".join(kwargs.get("column_list", ())) or "(table)"
    rule = config.type.removeprefix("expect_").replace("_", " ")
    if condition := kwargs.get("row_condition"):
        rule = f"{rule} where {condition['pass_through_filter']}"
    if "unexpected_count" in found:
        examples = tuple(str(value) for value in found["partial_unexpected_list"])
        return Violation(column, rule, int(found["unexpected_count"]), examples)
    # A table expectation has no rows to show; one that could not be evaluated (its column is missing) no result at all.
    observed = found.get("observed_value", "could not be evaluated")
    return Violation(column, rule, rows, (str(observed),))


@contextmanager
def _quiet() -> Iterator[None]:
    """No progress bars, log lines or warnings: the library writes all of them to stderr."""
    logging.getLogger("great_expectations").setLevel(logging.ERROR)
    with Path(os.devnull).open("w") as nowhere, redirect_stderr(nowhere), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
