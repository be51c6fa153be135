"""The drift report: what the models were asked lately against what the baseline was trained on."""

from datetime import timedelta
from typing import TYPE_CHECKING

import dagster as dg
from pydantic import Field

from orchestration.defs.common import OWNERS
from orchestration.defs.serving import prediction_log
from orchestration.event_clock import event_now
from orchestration.settings import Settings

if TYPE_CHECKING:
    from orchestration.drift.report import DriftReport

CHECK = dg.AssetCheckSpec(
    "inputs_have_not_drifted",
    asset="drift_report",
    description="Fewer than half of the features differ from the training window more than its own past windows did.",
)


class DriftConfig(dg.Config):
    """Which requests are compared with the training window."""

    hours: int = Field(default=24, ge=1, description="Length of the logged window, back from now on the event clock.")


@dg.asset(
    deps=[prediction_log],
    group_name="drift",
    kinds={"evidently"},
    owners=OWNERS,
    tags={"loop": "drift"},
    check_specs=[CHECK],
)
def drift_report(config: DriftConfig) -> dg.MaterializeResult:
    """Logged feature vectors against the baseline's training window: an Evidently page, its figures as JSON, a verdict.

    A feature has drifted where its PSI is above what windows of the same length reached within the training window.
    """
    from orchestration.drift.judged import report_on_log
    from serving_gateway.control.store import RolloutStore

    settings = Settings.load()
    store = RolloutStore.connect(settings.redis_url)
    now = event_now(settings, store)
    judged = report_on_log(settings, store, now=now, length=timedelta(hours=config.hours))
    verdict = judged.verdict
    check = dg.AssetCheckResult(
        check_name=CHECK.name,
        passed=verdict.outcome != "fail",
        severity=dg.AssetCheckSeverity.WARN,  # drift is the world's: it is reported, and stops nothing
        metadata={
            "outcome": verdict.outcome,
            "reason": verdict.reason,
            "drifted share": verdict.share,
            "as_of": now.isoformat(),
        },
    )
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
        check_results=[check],
    )


def _described(report: "DriftReport", address: str) -> dict[str, dg.MetadataValue | str]:
    from orchestration.drift.plot import psi_plot
    from orchestration.plots import figure_markdown

    return {
        "report": dg.MetadataValue.url(f"{address}/{report.html.name}"),
        "figures": dg.MetadataValue.url(f"{address}/{report.json.name}"),
        "latest": dg.MetadataValue.url(f"{address}/latest.html"),
        "drifted features": ", ".join(report.drifted) or "none",
        "features without values": ", ".join(report.without_values) or "none",
        "PSI by feature": _table(report),
        "plot": dg.MetadataValue.md(figure_markdown(psi_plot(report))),
    }


def _table(report: "DriftReport") -> dg.TableMetadataValue:
    drifted = set(report.drifted)
    worst_first = sorted(report.scores, key=lambda name: -report.scores[name] / report.thresholds[name])
    return dg.MetadataValue.table(
        [
            dg.TableRecord(
                {
                    "feature": name,
                    "PSI": round(report.scores[name], 4),
                    "drifted from": round(report.thresholds[name], 4),
                    "drifted": name in drifted,
                }
            )
            for name in worst_first
        ]
    )
