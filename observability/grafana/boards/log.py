"""What the updater reads, and what the gateways write."""

from observability.grafana.model import About, Panel, Query, Row, above

LOG_ROW = Row(
    "Updater and prediction log",
    (
        Panel(
            "lines",
            "Events",
            About(
                "Entries of the event stream a second, by kind and what became of them.",
                "applied, with some duplicates and progress.",
                "`refused` or `late` grows: ask who sends the events.",
                "3.3 Online features",
            ),
            (Query("sum by (kind, outcome) (rate(features_events_total[$__rate_interval]))", "{{kind}}, {{outcome}}"),),
            unit="ops",
            bounds=(0, None),
        ),
        Panel(
            "lines",
            "Batches of the updater, p95",
            About(
                "19 of 20 batches were readable within this time after they were read.",
                "below 1 s.",
                "Redis is slow, or a refill is under way.",
                "3.3 Online features",
            ),
            (
                Query(
                    "histogram_quantile(0.95, sum by (le) (rate(features_batch_seconds_bucket[$__rate_interval])))",
                    "p95",
                ),
            ),
            unit="s",
            limits=above(10, 1),
            bounds=(0, None),
        ),
        Panel(
            "stat",
            "Refills of the online store",
            About(
                "Times that the updater wrote the whole store, in the range that is shown, and how long the last took.",
                "at a start, and after each materialization.",
                "again and again: Redis loses its memory.",
                "3.3 Online features",
            ),
            (
                Query("sum(increase(features_refills_total[$__range])) or vector(0)", "refills"),
                Query("max(features_refill_seconds)", "last took, s"),
            ),
            decimals=0,
        ),
        Panel(
            "lines",
            "Log on disk",
            About(
                "The prediction log that has not landed in Parquet, of what the gateways may hold, and how full their disk is.",
                "the log falls with each landing.",
                "it climbs: run `land_predictions`. A full disk loses log records: make room.",
                "3.5 Prediction log",
            ),
            (
                Query("sum(serving_app_spool_bytes) / sum(serving_app_spool_limit_bytes)", "log"),
                Query("1 - min(serving_app_disk_free_bytes / serving_app_disk_size_bytes)", "disk"),
            ),
            unit="percentunit",
            limits=above(0.9, 0.75),
            bounds=(0, None),
        ),
        Panel(
            "lines",
            "Batches that wait in Redis",
            About(
                "Batches of the prediction log in the stream that are not in Parquet yet.",
                "it falls every five minutes.",
                "it climbs: look at the last run of `land_predictions`.",
                "3.5 Prediction log",
            ),
            (Query("max(predictions_waiting_batches)", "waiting"),),
            bounds=(0, None),
            steps=True,
        ),
        Panel(
            "stat",
            "Log that was lost",
            About(
                "Records dropped by a full spool and segments set aside as damaged, in the range that is shown.",
                "both 0.",
                "dropped: the spool was full or the disk refused; look at `df -h` first.",
                "3.5 Prediction log",
            ),
            (
                Query("sum(increase(serving_app_spool_dropped_records_total[$__range]))", "dropped"),
                Query("sum(increase(serving_app_spool_damaged_segments_total[$__range]))", "damaged"),
            ),
            decimals=0,
            limits=above(0.5),
        ),
    ),
)
