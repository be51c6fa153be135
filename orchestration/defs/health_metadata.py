"""What a look at the model's health shows in Dagster: tables, a plot, links."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import dagster as dg

if TYPE_CHECKING:
    from orchestration.health.label_free import Estimate
    from orchestration.health.past import Past, PastWindow
    from orchestration.health.policy import HealthPolicy
    from orchestration.health.report import HealthReport
    from orchestration.health.thresholds import HealthThresholds
    from orchestration.health.windows import WindowHealth


def usual_metadata(past: "Past", policy: "HealthPolicy") -> dict[str, Any]:
    """Label to value: the past windows and the thresholds that follow."""
    from orchestration.health.thresholds import fitted_thresholds

    limits = fitted_thresholds([window.health for window in past.windows], policy.thresholds)
    return {
        "model": past.model,
        "recipe": past.recipe,
        "days": f"{past.first}/{past.end}",
        **_thresholds(limits),
        "windows": _table([{"from": str(window.first), **_figures(window.health)} for window in past.windows]),
    }


def report_metadata(report: "HealthReport", address: str) -> dict[str, Any]:
    """Label to value; `address` is where the report is served."""
    from orchestration.health.plot import health_plot
    from orchestration.plots import figure_markdown

    shown: dict[str, Any] = {
        "model": report.triton_model,
        "as_of": report.as_of.isoformat(),
        "outcome": report.verdict.outcome,
        "verdict": report.verdict.reason,
        "label watermark": report.watermark.isoformat(),
        "rows since the last window": report.estimated_rows,
        **_thresholds(report.thresholds),
        "windows": _table([_window(w.verdict.outcome, str(w.verdict.first), w.figures) for w in report.windows]),
        "days": _table([{"day": str(day.day), **_figures(day.figures.health)} for day in report.days]),
        "estimate without labels": _table([_estimated(report, name) for name in (*report.record,)]),
        "report": dg.MetadataValue.url(address),
    }
    if report.days or report.windows:
        shown["plot"] = dg.MetadataValue.md(figure_markdown(health_plot(report)))
    return shown


def _thresholds(limits: "HealthThresholds") -> dict[str, Any]:
    return {
        "surprise is bad above": limits.surprise,
        "calibration bias is bad beyond": limits.bias,
        "past windows": limits.windows,
        "enough past windows": limits.enough,
    }


def _window(outcome: str, first: str, figures: "PastWindow | None") -> dict[str, Any]:
    return {"from": first, "verdict": outcome, **(_figures(figures.health) if figures else {"rows": 0})}


def _figures(health: "WindowHealth") -> dict[str, Any]:
    return {
        "rows": health.rows,
        "log-loss": round(health.log_loss, 4),
        "expected": round(health.expected_log_loss, 4),
        "surprise": round(health.surprise, 4),
        "Brier": round(health.brier, 4),
        "AUC": "" if health.auc is None else round(health.auc, 4),
        "calibration bias": round(health.calibration_bias, 4),
        "calibration error": round(health.calibration_error, 4),
    }


def _estimated(report: "HealthReport", name: Any) -> dict[str, Any]:
    """The estimate beside its record: nobody shall read the one without the other."""
    record, estimate = report.record[name], report.estimates.get(name)
    return {
        "figure": name,
        **_interval(estimate),
        "within the interval before": f"{record.coverage:.0%} of {record.windows} windows",
        "optimism (realised - estimated)": round(record.optimism, 4),
    }


def _interval(estimate: "Estimate | None") -> dict[str, Any]:
    if estimate is None:
        return {"estimate": "", "lowest": "", "highest": ""}
    low, high = estimate.interval
    return {"estimate": round(estimate.value, 4), "lowest": round(low, 4), "highest": round(high, 4)}


def _table(rows: Sequence[Mapping[str, Any]]) -> dg.TableMetadataValue:
    """Dagster wants the same fields in every row, and a schema for a table without rows; what a row lacks is empty."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    records = [dg.TableRecord({name: row.get(name, "") for name in names}) for row in rows]
    schema = dg.TableSchema([]) if not records else None
    return dg.MetadataValue.table(records, schema=schema)
