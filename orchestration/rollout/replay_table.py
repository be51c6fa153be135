"""A replayed window as a person reads it in the terminal."""

from collections.abc import Iterator

from orchestration.console import table_console
from orchestration.rollout.replay_report import Differences, Labelled, Quality, ReplayReport


def show(report: ReplayReport) -> None:
    """Print the tables and what they say."""
    from rich.markup import escape
    from rich.table import Table

    console = table_console()
    for line in headline(report):
        console.print(escape(line))
    apart = Table(
        "arm", "version", "rows", "mean", "5 %", "median", "95 %", "largest", "flips", title="score difference"
    )
    for row in (report.overall, *report.by_arm):
        apart.add_row(*_differences(row))
    console.print(apart)
    if report.labelled is not None:
        good = Table("", "rows", "log-loss", "Brier", "AUC", "bias", title="against the labels")
        good.add_row(report.version, str(report.labelled.rows), *_quality(report.labelled.version))
        good.add_row(report.reference, str(report.labelled.rows), *_quality(report.labelled.reference))
        console.print(good)
    for line in conclusions(report):
        console.print(escape(line))


def headline(report: ReplayReport) -> Iterator[str]:
    """What was compared, and what was left out."""
    yield (
        f"{report.version} on {report.rows} logged predictions of {_minute(report.start)} to {_minute(report.end)} (UTC), "
        f"against {report.reference}"
    )
    for reason, count in report.left_out.items():
        yield f"left out: {count} rows of {reason}"


def conclusions(report: ReplayReport) -> Iterator[str]:
    """What the figures say, in sentences."""
    yield f"Labels: {_said(report.labelled)}" if report.labelled else f"Labels: {report.unlabelled}"
    skew = report.skew
    if not skew.rows:
        yield f"Serving: nothing was logged as scored by {report.version} itself"
    elif skew.differing:
        yield (
            f"Serving skew: {skew.differing} of {skew.rows} scores that were logged as {report.version}'s differ from its "
            f"artifact's by more than {skew.tolerance:g}, at most {skew.largest:.6f} ({skew.example})"
        )
    else:
        yield (
            f"Serving: all {skew.rows} scores that were logged as {report.version}'s are its artifact's "
            f"(largest difference {skew.largest:.1e})"
        )


def _said(labelled: Labelled) -> str:
    worse = "worse" if labelled.brier_difference > 0 else "better"
    return (
        f"Brier score {abs(labelled.brier_difference):.5f} {worse} over {labelled.rows} rows; evidence "
        f"{labelled.evidence_worse:.3g} to 1 that it is worse, {labelled.evidence_not_worse:.3g} to 1 that it is not worse by "
        f"{labelled.delta:g}"
    )


def _differences(found: Differences) -> tuple[str, ...]:
    return (
        found.arm or "all",
        found.model_version,
        str(found.rows),
        f"{found.mean:+.4f}",
        *(f"{found.quantiles[level]:+.4f}" for level in ("0.05", "0.5", "0.95")),
        f"{found.largest:.4f}",
        f"{found.flips} ({found.flips / found.rows:.1%})",
    )


def _quality(found: Quality) -> tuple[str, ...]:
    return (f"{found.log_loss:.4f}", f"{found.brier:.4f}", f"{found.auc:.4f}", f"{found.calibration_bias:+.4f}")


def _minute(instant: str) -> str:
    return instant[:16].replace("T", " ")
