"""The model's health as gauges, for whoever exposes them to Prometheus."""

from collections.abc import Iterator, Mapping

from orchestration.gauges import Gauge
from orchestration.health.report import HealthReport
from orchestration.health.windows import WindowHealth

_OUTCOMES = ("good", "bad", "inconclusive")
_WINDOW = {
    "log_loss": "Realised log-loss of the newest judged window, nats a row",
    "surprise": "Log-loss beyond that of calibrated scores, newest judged window, nats a row",
    "brier": "Brier score of the newest judged window",
    "auc": "Area under the ROC curve of the newest judged window",
    "calibration_bias": "Mean score minus share of label 1, newest judged window",
    "calibration_error": "Expected calibration error of the newest judged window",
}


def health_gauges(report: HealthReport) -> list[Gauge]:
    """The report's verdict, watermark, thresholds, newest figures and label-free estimate; times in UNIX seconds."""
    return list(_gauges(report))


def _gauges(report: HealthReport) -> Iterator[Gauge]:
    model = {"model": report.triton_model}
    for outcome in _OUTCOMES:
        said = "1 for the outcome of the model's health"
        yield Gauge(
            "model_health_outcome", {**model, "outcome": outcome}, float(report.verdict.outcome == outcome), said
        )
    for name, value, said in (
        ("as_of_timestamp_seconds", report.as_of.timestamp(), "Event time of the look at the model's health"),
        ("label_watermark_timestamp_seconds", report.watermark.timestamp(), "Event time up to which labels are known"),
        ("labels_late", bool(report.late_labels), "1 while labels are late"),
        ("surprise_threshold", report.thresholds.surprise, "A window with more surprise is bad, nats a row"),
        ("calibration_bias_threshold", report.thresholds.bias, "A window with more bias on either side is bad"),
    ):
        yield Gauge(f"model_health_{name}", model, float(value), said)
    newest = next((w.figures.health for w in reversed(report.windows) if w.figures), None)
    if newest is not None:
        yield from _of_window(newest, model)
    for figure, estimate in report.estimates.items():
        of = {**model, "figure": figure}
        yield Gauge(
            "model_health_estimate", of, estimate.value, "Label-free estimate of the rows since the last whole window"
        )
    for figure, record in report.record.items():
        of = {**model, "figure": figure}
        yield Gauge("model_health_estimate_coverage", of, record.coverage, "Share of past windows within the interval")
        yield Gauge("model_health_estimate_optimism", of, record.optimism, "Mean realised minus estimated value")


def _of_window(health: WindowHealth, model: Mapping[str, str]) -> Iterator[Gauge]:
    for name, said in _WINDOW.items():
        value = getattr(health, name)
        if value is not None:
            yield Gauge(f"model_health_{name}", model, float(value), said)
