"""The sensor on the data: days that event time has completed."""

import dagster as dg

from orchestration.defs.common import DAILY_ASSETS
from orchestration.defs.due import event_now, known_days, next_attempt, or_skip, require_idle, stored_days
from orchestration.timetable import missing_days

DAYS_TAG = "drift/days"


@dg.sensor(
    job_name="ingest_and_compute",
    minimum_interval_seconds=30,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Days that event time has completed since the newest stored one are ingested, as one range.",
)
@or_skip
def ingest_completed_days(context: dg.SensorEvaluationContext) -> dg.RunRequest:
    """What the schedule missed while something was down, and what a replay completes.

    A range whose run died half-way is asked for again, a few times.
    """
    first, last = missing_days(event_now(), known_days(), stored_days(*DAILY_ASSETS))
    require_idle(context.instance, "ingest_and_compute", "compute_day")
    days = {DAYS_TAG: f"{first}:{last}"}
    attempt = next_attempt(context.instance, "ingest_and_compute", days)
    tags = days | {
        "dagster/asset_partition_range_start": first.isoformat(),
        "dagster/asset_partition_range_end": last.isoformat(),
    }
    return dg.RunRequest(run_key=f"{first}:{last}:{attempt}", tags=tags)
