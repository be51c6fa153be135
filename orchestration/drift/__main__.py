"""`python -m orchestration.drift`: a drift report on two csv files."""

import argparse
import sys
from pathlib import Path

from orchestration.drift.drawing import drawing
from orchestration.drift.figures import DriftFigures, Said
from orchestration.drift.files import read_window
from orchestration.drift.front import Context, front
from orchestration.drift.report import DriftReport, compare, write_report
from orchestration.drift.verdict import judge_drift
from orchestration.settings import Settings


def main(argv: list[str] | None = None) -> int:
    """Exit 0 with a report, whatever it says; 2 where a setting or a file cannot be read."""
    try:
        options = _parser(Settings.load()).parse_args(argv)
        reference, current = read_window(options.reference), read_window(options.current)
        compared = compare(reference, current)
        verdict = judge_drift(compared.drifted, compared=len(compared.psi.value), rows=current.height, usual_rows=None)
        figures = DriftFigures(
            name=f"{options.current.stem}-against-{options.reference.stem}",
            reference=options.reference.name,
            current=options.current.name,
            rows=current.height,
            reference_rows=reference.height,
            verdict=Said(outcome=verdict.outcome, reason=verdict.reason),
            share=verdict.share,
            psi=compared.psi,
            drifted=compared.drifted,
            without_values=compared.without_values,
        )
        with drawing(current.height) as draw:
            drawn = draw(reference, current, compared.limits).result()
        report = write_report(drawn, options.output, figures, front=front(figures, Context()))
    except (ValueError, OSError) as error:  # a setting, a file or a window: the message names it
        sys.stderr.write(f"no drift report: {error}\n")
        return 2
    for line in _told(report):
        print(line)
    return 0


def _told(report: DriftReport) -> list[str]:
    figures = report.figures
    drifted = [
        f"  {name:26} PSI {figures.psi.value[name]:8.3f}, drifted from {figures.psi.limit[name]}"
        for name in figures.drifted
    ]
    empty = (
        [f"Without values in one of the files: {', '.join(figures.without_values)}"] if figures.without_values else []
    )
    return [
        f"Verdict: {figures.verdict.outcome}, {figures.share:.0%} of the features have drifted",
        *drifted,
        *empty,
        f"Report: {report.html}",
        f"Figures: {report.json}",
    ]


def _parser(settings: Settings) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m orchestration.drift",
        description="Compare the features of two csv files, column by column; the report is made the latest.",
        epilog="Cut files from other weeks with python -m orchestration.drift.sample; the asset drift_report compares the "
        "prediction log with the training window instead, each feature measured by its own past.",
    )
    for name, default, what in (
        ("reference", settings.drift_reference, "what is usual (DRIFT_REFERENCE_PATH, default a calm week)"),
        ("current", settings.drift_current, "what is asked about (DRIFT_CURRENT_PATH, default a week of storms)"),
        ("output", settings.reports / "drift", "folder for the report (default: drift/ in REPORTS_PATH)"),
    ):
        parser.add_argument(f"--{name}", type=Path, default=default, help=what)
    return parser


if __name__ == "__main__":
    sys.exit(main())
