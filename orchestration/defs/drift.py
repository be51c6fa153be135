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
    from serving_gateway.control.store import NoRolloutError, RolloutStore

    settings = Settings.load()
    store = RolloutStore.connect(settings.redis_url)
    state = store.read()
    contract = store.contract(state.arms.baseline.contract_digest) if state else None
    if contract is None:
        raise NoRolloutError("nothing is served yet: materialize baseline_arm first")
    now = store.event_time() or datetime.now(UTC)
    current = logged_window(settings.lake, contract, now - timedelta(hours=config.hours), now)
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
