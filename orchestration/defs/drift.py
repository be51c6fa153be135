"""The drift report: what the models were asked lately against what the baseline was trained on."""

from datetime import UTC, datetime, timedelta

import dagster as dg

from orchestration.defs.common import OWNERS
from orchestration.defs.serving import prediction_log
from orchestration.settings import Settings


class DriftConfig(dg.Config):
    """`hours`: length of the logged window, back from now on the event clock."""

    hours: int = 24


@dg.asset(deps=[prediction_log], group_name="drift", kinds={"evidently"}, owners=OWNERS)
def drift_report(config: DriftConfig) -> dg.MaterializeResult:
    """Logged feature vectors against the baseline's training window: an Evidently page, and its figures as JSON."""
    from orchestration.drift.report import write_report
    from orchestration.drift.windows import logged_window, training_window
    from serving_gateway.control.store import RolloutStore

    settings = Settings.load()
    store = RolloutStore.connect(settings.redis_url)
    contract = store.baseline_contract()
    now = store.event_time() or datetime.now(UTC)

    def same_inputs(digest: str) -> bool:
        found = store.contract(digest)
        return found is not None and found.signature == contract.signature

    start = now - timedelta(hours=config.hours)
    current = logged_window(settings.lake, contract, start, now, same_inputs=same_inputs)
    reference = training_window(settings.lake, contract)
    report = write_report(reference, current, settings.reports / "drift", f"{now:%Y-%m-%dT%H%M}")
    address = f"{settings.reports_url}/drift"
    return dg.MaterializeResult(
        metadata={
            "report": dg.MetadataValue.url(f"{address}/{report.html.name}"),
            "figures": dg.MetadataValue.url(f"{address}/{report.json.name}"),
            "rows": current.height,
            "drifted features": ", ".join(report.drifted) or "none",
            "features without values": ", ".join(report.without_values) or "none",
            "PSI by feature": dg.MetadataValue.json(report.scores),
        }
    )
