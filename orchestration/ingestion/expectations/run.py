"""Run expectations by Great Expectations and say which rows break which rule.

The library takes pandas, so frames are copied at this edge. Nothing is printed or kept.
"""

import logging
import os
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stderr
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import polars as pl


@dataclass(frozen=True)
class Finding:
    """A failed expectation; `rows` are the positions that break it, None where it concerns the whole table."""

    columns: tuple[str, ...]
    rule: str
    rows: tuple[int, ...] | None
    observed: str


def findings(frame: pl.DataFrame, expectations: Sequence[Any]) -> list[Finding]:
    """What does not hold of `frame`; `expectations` are Great Expectations' own.

    One that cannot be evaluated, because its column is missing, fails too.
    """
    with _quiet():
        import great_expectations as gx

        batch = _batches().get_batch({"dataframe": frame.to_pandas()})
        suite = gx.ExpectationSuite(name="suite", expectations=list(expectations))
        outcome = batch.validate(suite, result_format={"result_format": "COMPLETE"})
    return [_finding(result) for result in outcome.results if not result.success]


@cache
def _batches() -> Any:
    """Where data frames enter the library; made once, for every context leaves a folder behind until the process ends."""
    import great_expectations as gx

    context: Any = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = {"globally": False}
    asset = context.data_sources.add_pandas("lake").add_dataframe_asset("frame")
    return asset.add_batch_definition_whole_dataframe("rows")


def _finding(result: Any) -> Finding:
    config, found = result.expectation_config, result.result
    kwargs: Mapping[str, Any] = config.kwargs
    pair = [kwargs[name] for name in ("column_A", "column_B") if name in kwargs]
    columns = tuple(kwargs.get("column_list") or pair or [kwargs.get("column", "(table)")])
    positions = found.get("unexpected_index_list")
    # A table expectation has no rows to show; one that could not be evaluated has no result at all.
    observed = str(found.get("observed_value", "could not be evaluated"))
    return Finding(columns, _rule(config.type, kwargs), None if positions is None else tuple(positions), observed)


def _rule(kind: str, kwargs: Mapping[str, Any]) -> str:
    words = kind.removeprefix("expect_").removeprefix("column_").replace("_", " ")
    low, high = kwargs.get("min_value"), kwargs.get("max_value")
    if low is not None:
        words += f" {low:g} and {'more' if high is None else f'{high:g}'}"
    if (values := kwargs.get("value_set")) is not None:
        words += f" {', '.join(map(str, values))}" if len(values) <= 5 else f" of {len(values)}"
    words += f" {kwargs['regex']}" if "regex" in kwargs else ""
    if condition := kwargs.get("row_condition"):
        words += f" where {condition['column']['name']} is {condition['parameter']}"
    return words


@contextmanager
def _quiet() -> Iterator[None]:
    """No progress bars, log lines or warnings: the library writes all of them to stderr."""
    logging.getLogger("great_expectations").setLevel(logging.ERROR)
    with Path(os.devnull).open("w") as nowhere, redirect_stderr(nowhere), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
