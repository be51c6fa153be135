"""Is there a drift report, and is it recent?"""

from datetime import UTC, datetime
from pathlib import Path

from orchestration.doctor.finding import Finding, State, duration
from orchestration.drift.folder import reports
from orchestration.settings import Settings

# Reports are made once a day.
OLD_S = 36 * 3600.0


def check_drift(settings: Settings) -> list[Finding]:
    """The last report by the time it was written."""
    return judge_drift_report(next(iter(reports(settings.reports / "drift")), None), datetime.now(UTC), settings)


def judge_drift_report(report: Path | None, now: datetime, settings: Settings) -> list[Finding]:
    """`report`: the JSON beside the last page, or None."""
    if report is None:
        return [_finding("attention", "there is no drift report yet: run the job report_drift")]
    age_s = now.timestamp() - report.stat().st_mtime
    says = f"the last report, {report.stem}, is {duration(age_s)} old: {settings.reports_url}/drift/{report.stem}.html"
    return [_finding("attention" if age_s > OLD_S else "ok", says)]


def _finding(state: State, says: str) -> Finding:
    return Finding("drift report", state, says, "3.6 Drift")
