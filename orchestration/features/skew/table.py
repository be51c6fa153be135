"""The report as people read it: one table for the terminal and for Dagster."""

from collections.abc import Sequence

from orchestration.features.skew.report import FeatureSkew, SkewReport
from orchestration.features.skew.served import APART

COLUMNS = ("feature", "rows", "differ", "share", "exact", "looks like", "served", "offline", "in")


def table_rows(report: SkewReport) -> list[tuple[str, ...]]:
    """A row a feature in COLUMNS, those that differ most first; `in` is the row of the largest difference."""
    same = [f for f in report.features if not f.differing]
    return [_row(f) for f in (*report.differing, *same)]


def markdown(report: SkewReport) -> str:
    """The table in markdown, under what was compared and what was not."""
    lines = [*(f"- {line}" for line in compared(report)), ""]
    lines += [_line(COLUMNS), _line(["---"] * len(COLUMNS)), *map(_line, table_rows(report))]
    return "\n".join(lines)


def compared(report: SkewReport) -> list[str]:
    """What was compared, and what was not, by name."""
    lines = [f"{report.rows} of {report.logged} logged predictions compared, event time {report.start} to {report.end}"]
    lines += [f"apart: {n} rows of {name}: {APART[name]}" for name, n in report.apart.items() if n]
    by_reason: dict[str, list[str]] = {}
    for name, reason in report.left_out.items():
        by_reason.setdefault(reason, []).append(name)
    return lines + [f"left out of {', '.join(names)}: {reason}" for reason, names in by_reason.items()]


def causes(feature: FeatureSkew) -> str:
    """What its differences look like, the most frequent first."""
    told = (f"{r.name}, rows: {r.rows:.0f}" + (f" ({r.detail})" if r.detail else "") for r in feature.reasons)
    return "; ".join(told)


def _row(feature: FeatureSkew) -> tuple[str, ...]:
    most = feature.largest
    entities = ", ".join(most.entities.values()) if most else ""
    return (
        feature.feature,
        str(feature.rows),
        str(feature.differing),
        f"{feature.share:.2%}" if feature.rows else "",
        str(feature.exact),
        causes(feature),
        _value(most.served) if most else "",
        _value(most.offline) if most else "",
        f"{most.prediction_id} ({entities}) at {most.event_time[:19]}" if most else "",
    )


def _value(value: float | None) -> str:
    return "missing" if value is None else f"{value:.6g}"


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
