"""Training-serving skew: what was served on a day against what training would have seen, row by row."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import dagster as dg
from pydantic import Field

from orchestration.defs.common import OWNERS, parse_days
from orchestration.defs.features import feature_views
from orchestration.defs.serving import prediction_log
from orchestration.settings import Settings

if TYPE_CHECKING:
    from orchestration.features.skew.report import SkewReport

CHECK = dg.AssetCheckSpec(
    "served_equals_offline",
    asset="skew_report",
    description="Every feature of the day's logged predictions is, in float32, what the offline store gives for the same "
    "entities at the same instant, but for .1 % of its rows and, where the data came late, 5 %.",
)


class SkewConfig(dg.Config):
    """Which day is checked."""

    day: str = Field(
        default="",
        description="Day (YYYY-MM-DD), from 23:00 UTC of the day before, as its features are stored. Empty: the newest day "
        "with logged predictions and stored features.",
    )


@dg.asset(
    deps=[prediction_log, feature_views],
    group_name="drift",
    kinds={"polars", "parquet"},
    owners=OWNERS,
    tags={"loop": "drift"},
    check_specs=[CHECK],
)
def skew_report(config: SkewConfig) -> dg.MaterializeResult:
    """A day's served feature vectors against the same rows recomputed from the offline store: table, JSON, a verdict.

    A failed check is an alarm about data or code, a warning where the data were late or nothing can be told. It rolls
    nothing back: every arm was served the same vector.
    """
    from orchestration.features.skew.gauges import gauges_path, skew_gauges
    from orchestration.features.skew.judged import judge_day
    from orchestration.gauges import write_gauges
    from serving_gateway.control.store import RolloutStore

    settings = Settings.load()
    day = parse_days(config.day, "9999-12-31")[0] if config.day else None
    judged = judge_day(settings, RolloutStore.connect(settings.redis_url), day)
    write_gauges(gauges_path(settings.reports), skew_gauges(judged, datetime.now(UTC)))
    verdict = judged.verdict
    check = dg.AssetCheckResult(
        check_name=CHECK.name,
        passed=verdict.outcome == "pass",
        # a defect is an error; late data are the world's, and where nothing can be told, nothing is proven
        severity=dg.AssetCheckSeverity.ERROR if verdict.defect else dg.AssetCheckSeverity.WARN,
        metadata={"outcome": verdict.outcome, "reason": verdict.reason, "day": str(judged.day or "none")},
    )
    written: dict[str, Any] = {"report": "none"}
    if judged.report is not None:
        from orchestration.features.skew.files import write_report

        path = write_report(settings.reports / "skew", judged.report, verdict)
        written = _described(judged.report, f"{settings.reports_url}/skew/{path.name}")
    return dg.MaterializeResult(
        metadata={"day": str(judged.day or "none"), "verdict": verdict.reason, **written}, check_results=[check]
    )


def _described(report: "SkewReport", address: str) -> dict[str, Any]:
    from orchestration.features.skew.plot import skew_plot
    from orchestration.features.skew.table import markdown
    from orchestration.plots import figure_markdown

    differing = report.differing
    described: dict[str, Any] = {
        "report": dg.MetadataValue.url(address),
        "rows": report.rows,
        "logged": report.logged,
        "differing features": ", ".join(f.feature for f in differing) or "none",
        "greatest share of differing rows": differing[0].share if differing else 0.0,
        "features": dg.MetadataValue.md(markdown(report)),
    }
    if differing:
        described["plot"] = dg.MetadataValue.md(figure_markdown(skew_plot(report)))
    return described
