"""Check a range of days in one pass; each violation then finds its day.

A year of flights takes seconds in one pass, where a pass a day would take minutes. Two tables are checked: the rows,
and the statistics of the days. Columns are checked where they can differ, in the source (`check_columns`): the tidy
frame has those that we select, in the types that we give them.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import date

import polars as pl

from orchestration.ingestion.expectations.days import day_statistics
from orchestration.ingestion.expectations.rules import day_rules, row_rules
from orchestration.ingestion.expectations.run import Finding, findings
from orchestration.ingestion.expectations.suite import Suite, Verdict, Violation

EXAMPLES = 5


def check_days(frame: pl.DataFrame, suite: Suite, days: Sequence[date], stored: Mapping[date, int]) -> Verdict:
    """The verdict on each of `days`.

    Args:
        frame: the rows of these days, in the order in which they would be stored; their day stands in `day`.
        suite: what must hold.
        days: in order. One without rows fails.
        stored: rows of earlier days that were accepted; the volume is compared with theirs.
    """
    counts = dict(frame.group_by("day").len().iter_rows())
    rows = {day: int(counts.get(day, 0)) for day in days}
    found: dict[date, list[Violation]] = {day: [] for day in days}
    for day, violation in _of_rows(frame, suite):
        found[day].append(violation)
    sound = {day: rows[day] for day in days if not found[day]}
    for day, violation in _of_days(day_statistics(frame, suite, days, {**stored, **sound}), suite):
        found[day].append(violation)
    expectations = len(row_rules(suite)) + len(day_rules(suite))
    return Verdict(rows, {day: tuple(violations) for day, violations in found.items() if violations}, expectations)


def check_table(frame: pl.DataFrame, suite: Suite) -> tuple[Violation, ...]:
    """What does not hold of a table that has no days."""
    return tuple(_violation(f, frame, f.rows, suite) for f in findings(frame, row_rules(suite)))


def check_columns(table: str, found: Sequence[str], published: Collection[str]) -> tuple[Violation, ...]:
    """The columns that a source table has and should not have, and those that it lacks.

    Args:
        table: its file's name.
        found: its columns.
        published: the columns that it should have.
    """
    strange, lacking = sorted({*found} - {*published}), sorted({*published} - {*found})
    return (
        *(Violation(f"{table}: {column}", "column to be a published one", 0, ("unexpected",)) for column in strange),
        *(Violation(f"{table}: {column}", "column to be there", 0, ("missing",)) for column in lacking),
    )


def _of_rows(frame: pl.DataFrame, suite: Suite) -> Iterator[tuple[date, Violation]]:
    day_of = frame["day"].to_list()
    for finding in findings(frame, row_rules(suite)):
        by_day: dict[date, list[int]] = {}
        for row in range(frame.height) if finding.rows is None else finding.rows:
            by_day.setdefault(day_of[row], []).append(row)
        yield from ((day, _violation(finding, frame, at, suite)) for day, at in by_day.items())


def _of_days(statistics: pl.DataFrame, suite: Suite) -> Iterator[tuple[date, Violation]]:
    for finding in findings(statistics, day_rules(suite)):
        (column,) = finding.columns
        for row in finding.rows or ():
            day = statistics.row(row, named=True)
            yield day["day"], Violation(column, finding.rule, day["rows"], (f"{column} is {day[column]:.4g}",))


def _violation(finding: Finding, frame: pl.DataFrame, at: Sequence[int] | None, suite: Suite) -> Violation:
    column = ", ".join(finding.columns)
    if at is None or finding.rows is None:
        return Violation(column, finding.rule, frame.height if at is None else len(at), (finding.observed,))
    shown = [name for name in dict.fromkeys((*suite.identity, *finding.columns)) if name in frame.columns]
    rows = frame.select(shown)[list(at[:EXAMPLES])].iter_rows(named=True)
    return Violation(column, finding.rule, len(at), tuple(_example(row) for row in rows))


def _example(row: Mapping[str, object]) -> str:
    return ", ".join(f"{column}={value}" for column, value in row.items())
