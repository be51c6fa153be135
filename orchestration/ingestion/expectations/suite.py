"""The form of a suite and of its verdict. Suites are data: what they mean to Great Expectations stands in `run`."""

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import date


@dataclass(frozen=True)
class Suite:
    """What must hold of a table. Bounds are inclusive; nulls pass every rule but `required` and `filled_where`.

    Attributes:
        name: the source.
        identity: columns that name a row in examples.
        required: columns without nulls.
        empty: columns without values.
        ranges: column to least and greatest value.
        allowed: column to its values.
        patterns: column to a regular expression.
        unique: groups of columns that, together, name one row.
        after: (later, earlier) pairs of columns.
        filled_where, empty_where: (column, other column, its value): where the other has this value.
        null_shares: column to the greatest share of nulls in a day.
        least_rows: origin to the least number of its rows in a day.
        volume: rows of a day as a share of the median of recent days, least and greatest.
    """

    name: str
    identity: tuple[str, ...]
    required: Collection[str] = ()
    empty: Collection[str] = ()
    ranges: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    allowed: Mapping[str, Collection[str]] = field(default_factory=dict)
    patterns: Mapping[str, str] = field(default_factory=dict)
    unique: Collection[tuple[str, ...]] = ()
    after: Collection[tuple[str, str]] = ()
    filled_where: Collection[tuple[str, str, object]] = ()
    empty_where: Collection[tuple[str, str, object]] = ()
    null_shares: Mapping[str, float] = field(default_factory=dict)
    least_rows: Mapping[str, int] = field(default_factory=dict)
    volume: tuple[float, float] = (0.0, math.inf)


@dataclass(frozen=True)
class Violation:
    """One failed expectation: the column (or columns) it is about, its rule, the rows that break it, some of them."""

    column: str
    rule: str
    count: int
    examples: tuple[str, ...]

    def __str__(self) -> str:
        """In a sentence, such as "origin: values in EWR, JFK, LGA (3 rows, such as B6-1-20130605T1200: XXX)"."""
        rows = f"{self.count} row{'' if self.count == 1 else 's'}"
        return f"{self.column}: {self.rule} ({rows}: {'; '.join(self.examples)})"


@dataclass(frozen=True)
class Verdict:
    """What was found on each day: rows, and the violations where there are any. `expectations` were checked."""

    rows: Mapping[date, int]
    violations: Mapping[date, tuple[Violation, ...]]
    expectations: int

    @property
    def success(self) -> bool:
        """Whether every expectation held on every day."""
        return not self.violations
