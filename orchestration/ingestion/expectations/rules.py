"""A suite's rules as Great Expectations' own expectations."""

from collections.abc import Iterator
from typing import Any

from orchestration.ingestion.expectations.suite import Suite


def _library() -> Any:
    from great_expectations import expectations

    return expectations  # re-exports its classes in a way that the type checker does not follow


def row_rules(suite: Suite) -> list[Any]:
    """Over the rows."""
    gxe = _library()
    return [
        *(gxe.ExpectColumnValuesToNotBeNull(column=column) for column in suite.required),
        *(gxe.ExpectColumnValuesToBeNull(column=column) for column in suite.empty),
        *(
            gxe.ExpectColumnValuesToBeBetween(column=column, min_value=low, max_value=high)
            for column, (low, high) in suite.ranges.items()
        ),
        *(
            gxe.ExpectColumnValuesToBeInSet(column=column, value_set=sorted(values))
            for column, values in suite.allowed.items()
        ),
        *(gxe.ExpectColumnValuesToMatchRegex(column=column, regex=regex) for column, regex in suite.patterns.items()),
        *_unique(gxe, suite),
        *(
            gxe.ExpectColumnPairValuesAToBeGreaterThanB(
                column_A=later, column_B=earlier, ignore_row_if="either_value_is_missing"
            )
            for later, earlier in suite.after
        ),
        *(_where(gxe.ExpectColumnValuesToNotBeNull, *rule) for rule in suite.filled_where),
        *(_where(gxe.ExpectColumnValuesToBeNull, *rule) for rule in suite.empty_where),
    ]


def day_rules(suite: Suite) -> list[Any]:
    """Over the statistics of days (`days.day_statistics`)."""
    gxe = _library()
    return [
        gxe.ExpectColumnValuesToBeBetween(column="rows", min_value=1),
        *(
            gxe.ExpectColumnValuesToBeBetween(column=f"nulls of {column}", min_value=0, max_value=share)
            for column, share in suite.null_shares.items()
        ),
        *(
            gxe.ExpectColumnValuesToBeBetween(column=f"rows of {origin}", min_value=least)
            for origin, least in suite.least_rows.items()
        ),
        gxe.ExpectColumnValuesToBeBetween(column="volume", min_value=suite.volume[0], max_value=suite.volume[1]),
    ]


def _unique(gxe: Any, suite: Suite) -> Iterator[Any]:
    for columns in suite.unique:
        if len(columns) == 1:
            yield gxe.ExpectColumnValuesToBeUnique(column=columns[0])
        else:
            yield gxe.ExpectCompoundColumnsToBeUnique(column_list=list(columns))


def _where(expectation: Any, column: str, other: str, value: object) -> Any:
    from great_expectations.expectations.row_conditions import Column

    return expectation(column=column, row_condition=Column(other) == value)
