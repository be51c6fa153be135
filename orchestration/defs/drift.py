"""The drift report: what the models were asked lately against what the baseline was trained on."""

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import dagster as dg
from pydantic import Field

from orchestration.defs.common import OWNERS
from orchestration.defs.serving import prediction_log
from orchestration.event_clock import event_now
from orchestration.settings import Settings

if TYPE_CHECKING:
    from orchestration.drift.figures import DriftFigures, Said
    from orchestration.drift.judged import JudgedReport
    from orchestration.drift.report import DriftReport


def _check(name: str, description: str) -> dg.AssetCheckSpec:
    return dg.AssetCheckSpec(name, asset="drift_report", description=description)


DRIFT = _check(
    "inputs_have_not_drifted",
    "Fewer than half of the features differ from the training window more than its own past windows did.",
)
# By name of the verdict in the report.
DATA = {
    "nulls": _check("nulls_are_usual", "No feature is null in more rows than in past windows of the training window."),
    "ranges": _check("values_in_range", "No feature lies outside the training window's range in more rows than usual."),
    "freshness": _check(
        "features_served_fresh",
        "No view was missing, expired or old for the logged requests more than usual, and the online store was there.",
    ),
}


class DriftConfig(dg.Config):
    """Which requests are compared with the training window."""

    hours: int = Field(default=24, ge=1, description="Length of the logged window, back from now on the event clock.")


@dg.asset(
    deps=[prediction_log],
    group_name="drift",
    kinds={"evidently"},
    owners=OWNERS,
    tags={"loop": "drift"},
    check_specs=[DRIFT, *DATA.values()],
)
def drift_report(config: DriftConfig) -> dg.MaterializeResult:
    """Logged feature vectors against the baseline's training window: a page, its figures as JSON and gauges, verdicts.

    A feature has drifted where its PSI is above what windows of the same length reached within the training window.
    Nulls, values out of range and stale features are data alarms: each becomes a notice, and none rolls anything back.
    """
    from orchestration.drift.gauges import drift_gauges, gauges_path
    from orchestration.drift.judged import report_on_log
    from orchestration.gauges import write_gauges
    from serving_gateway.control.store import RolloutStore

    settings = Settings.load()
    store = RolloutStore.connect(settings.redis_url)
    now = event_now(settings, store)
    judged = report_on_log(settings, store, now=now, length=timedelta(hours=config.hours))
    gauges = drift_gauges(judged, hours=config.hours, as_of=now, now=datetime.now(UTC))
    write_gauges(gauges_path(settings.reports, config.hours), gauges)
    _notify(judged, settings)
    verdict = judged.verdict
    written = _described(judged.report, f"{settings.reports_url}/drift") if judged.report else {"report": "none"}
    return dg.MaterializeResult(
        metadata={
            "as_of": now.isoformat(),
            "rows": judged.rows,
            "rows in the reference": judged.reference_rows,
            "verdict": verdict.reason,
            "drifted share": verdict.share,
            **written,
        },
        check_results=_checks(judged, now),
    )


def _checks(judged: "JudgedReport", now: datetime) -> list[dg.AssetCheckResult]:
    """Warnings, all of them: drift is the world's, and a data alarm is nobody's fault who serves."""
    verdict = judged.verdict
    drift = dg.AssetCheckResult(
        check_name=DRIFT.name,
        passed=verdict.outcome != "fail",
        severity=dg.AssetCheckSeverity.WARN,
        metadata={
            "outcome": verdict.outcome,
            "reason": verdict.reason,
            "drifted share": verdict.share,
            "as_of": now.isoformat(),
        },
    )
    return [drift, *(_data_check(spec.name, judged.checks[name], now) for name, spec in DATA.items())]


def _data_check(name: str, said: "Said", now: datetime) -> dg.AssetCheckResult:
    return dg.AssetCheckResult(
        check_name=name,
        passed=said.outcome != "fail",
        severity=dg.AssetCheckSeverity.WARN,
        metadata={"outcome": said.outcome, "reason": said.reason, "as_of": now.isoformat()},
    )


def _notify(judged: "JudgedReport", settings: Settings) -> None:
    """Once for a report: one that is made again has nothing new to say."""
    from orchestration.notices.send import send_once
    from orchestration.notices.wording import data_alarm

    if judged.report is None:
        return
    link = f"{settings.reports_url}/drift/{judged.report.html.name}"
    for name, said in judged.checks.items():
        if said.outcome == "fail":
            send_once(data_alarm(name, said.reason, link, datetime.now(UTC)), settings)


def _described(report: "DriftReport", address: str) -> dict[str, dg.MetadataValue | str]:
    from orchestration.drift.plot import psi_plot
    from orchestration.plots import figure_markdown

    figures = report.figures
    return {
        "report": dg.MetadataValue.url(f"{address}/{report.html.name}"),
        "figures": dg.MetadataValue.url(f"{address}/{report.json.name}"),
        "latest": dg.MetadataValue.url(f"{address}/latest.html"),
        "drifted features": ", ".join(figures.drifted) or "none",
        "features without values": ", ".join(figures.without_values) or "none",
        "PSI by feature": _table(figures),
        "plot": dg.MetadataValue.md(figure_markdown(psi_plot(figures))),
    }


def _table(figures: "DriftFigures") -> dg.TableMetadataValue:
    drifted = set(figures.drifted)
    return dg.MetadataValue.table(
        [
            dg.TableRecord(
                {
                    "feature": name,
                    "PSI": round(figures.psi.value[name], 4),
                    "drifted from": round(figures.psi.limit[name], 4),
                    "drifted": name in drifted,
                    "null": round(figures.nulls.value.get(name, 0.0), 4),
                    "out of range": round(figures.outside.value.get(name, 0.0), 4),
                }
            )
            for name in figures.psi.worst_first
        ]
    )
