"""Dagster's runs, assets and checks."""

from observability.grafana.model import About, Limit, Panel, Query, Row, above

RUNS_ROW = Row(
    "Dagster",
    (
        Panel(
            "stat",
            "Runs that failed within a day",
            About(
                "Failed runs of the last 24 hours, over all jobs.",
                "0.",
                "open the red step of the run; a failed check names column, rule and count.",
                "3.4 Dagster",
            ),
            (Query('sum(dagster_runs_24h{status="failure"})', "failed"),),
            decimals=0,
            limits=above(1),
            width=4,
        ),
        Panel(
            "stat",
            "Daemon's last tick",
            About(
                "How long ago Dagster's daemon last wrote these figures.",
                "below 2 minutes.",
                "daemon or code server is down: nothing is scheduled, no verdict is acted on by sensors.",
                "3.4 Dagster",
            ),
            (Query("time() - max(dagster_look_timestamp_seconds)", "ago"),),
            unit="s",
            decimals=0,
            limits=above(300, 120),
            width=4,
        ),
        Panel(
            "lines",
            "Runs under way",
            About(
                "Runs that wait and that are at work, and how long the first has waited.",
                "the queue empties within a minute.",
                "it grows: a run hangs and holds its place. Terminate it in the UI.",
                "3.4 Dagster",
            ),
            (
                Query("dagster_runs_under_way", "{{status}}"),
                Query("dagster_oldest_queued_seconds / 60", "first waits, min"),
            ),
            colours={"queued": "orange", "started": "blue", "first waits, min": "red"},
            bounds=(0, None),
            steps=True,
        ),
        Panel(
            "states",
            "Newest run of each job",
            About(
                "Whether the job's newest finished run succeeded.",
                "green.",
                "red until the job succeeds again: launch it once its cause is mended.",
                "3.4 Dagster",
            ),
            (Query("dagster_job_failed", "{{job}}"),),
            words={"0": ("well", "green"), "1": ("failed", "red")},
        ),
        Panel(
            "table",
            "Runs of the last day",
            About(
                "Runs that ended within 24 hours, by job and how.",
                "successes alone.",
                "open the failed ones in the UI.",
                "3.4 Dagster",
            ),
            (
                Query('sum by (job) (dagster_runs_24h{status="success"})', "success"),
                Query('sum by (job) (dagster_runs_24h{status="failure"})', "failure"),
                Query('sum by (job) (dagster_runs_24h{status="canceled"})', "canceled"),
            ),
            key="job",
            decimals=0,
            height=10,
        ),
        Panel(
            "bars",
            "Since each asset was made",
            About(
                "Time since the last materialization, by the clock on the wall.",
                "a day and less for what is made daily; models are older.",
                "features or training rows are days old: look for the last run of `compute_day`.",
                "3.4 Dagster",
            ),
            (Query("sort_desc(time() - dagster_asset_materialized_timestamp_seconds)", "{{asset}}"),),
            unit="s",
            decimals=0,
            limits=(Limit(None, "green"), Limit(36 * 3600, "orange"), Limit(8 * 86_400, "red")),
            height=10,
        ),
        Panel(
            "table",
            "Checks",
            About(
                "The newest evaluation of each asset check, failed ones first.",
                "passed. Warnings stop nothing, but count here.",
                "the asset's page in Dagster says what was found.",
                "3.4 Dagster",
            ),
            (Query("sort(min by (asset, check) (dagster_asset_check_passed))", "result"),),
            words={"0": ("failed", "red"), "1": ("passed", "green")},
            key="check",
            height=10,
        ),
    ),
)
