"""Features as requests meet them, and the updater that keeps them."""

from observability.grafana.model import About, Panel, Query, Row, above, below

FEATURES_ROW = Row(
    "Features, live and as served",
    (
        Panel(
            "lines",
            "Live features behind the event clock",
            About(
                "Event time between the event clock and what the online store has reached.",
                "below 5 minutes (the policy of the updater).",
                "it grows: nobody sends events, or the updater is away.",
                "3.3 Online features",
            ),
            (Query("max(event_clock_timestamp_seconds) - max(features_watermark_timestamp_seconds > 0)", "behind"),),
            unit="s",
            limits=above(300),
        ),
        Panel(
            "lines",
            "Oldest event that waits",
            About(
                "How long the oldest event in the stream has waited, by the clock on the wall.",
                "below 10 s.",
                "the updater is away or too slow: its `/health` says its problem.",
                "3.3 Online features",
            ),
            (Query("max(features_lag_seconds)", "waits"),),
            unit="s",
            limits=above(10),
            bounds=(0, None),
        ),
        Panel(
            "lines",
            "From sent to readable",
            About(
                "Half and 99 % of the events were readable in the online store within this time.",
                "p99 below 10 s.",
                "Redis is slow or the updater's batches are large: see its batches on the platform's dashboard.",
                "3.3 Online features",
            ),
            tuple(
                Query(
                    f"histogram_quantile({share}, sum by (le) "
                    "(rate(features_event_to_readable_seconds_bucket[$__rate_interval])))",
                    name,
                )
                for share, name in ((0.5, "p50"), (0.99, "p99"))
            ),
            unit="s",
            limits=above(10),
            bounds=(0, None),
        ),
        Panel(
            "lines",
            "Feature views, as requests found them",
            About(
                "Views read a second, by what was found.",
                "present. Some `missing` is usual: an aircraft that has not flown today.",
                "`expired` or `missing` grows: the store is behind, or has lost its memory.",
                "3.3 Online features",
            ),
            (Query("sum by (status) (rate(serving_app_feature_views_total[$__rate_interval]))", "{{status}}"),),
            unit="reqps",
            colours={"present": "green", "null": "yellow", "missing": "orange", "expired": "red"},
            stacked=True,
        ),
        Panel(
            "bars",
            "Found, by view",
            About(
                "Share of the reads of each view in the range that is shown that found a value that had not expired.",
                "near 100 % for views by origin, carrier and for the one of all.",
                "one view is low: what writes it is behind, or its entity is not known.",
                "3.3 Online features",
            ),
            (
                Query(
                    'sum by (view) (increase(serving_app_feature_views_total{status="present"}[$__range]))'
                    " / sum by (view) (increase(serving_app_feature_views_total[$__range]))",
                    "{{view}}",
                ),
            ),
            unit="percentunit",
            decimals=0,
            limits=below(0.5, 0.9),
            bounds=(0, 1),
        ),
        Panel(
            "lines",
            "Age of the served views, p90",
            About(
                "Nine of ten values that were served were younger, in event time.",
                "minutes to hours, as each view has it.",
                "one view climbs and climbs: its writer stands still.",
                "3.3 Online features",
            ),
            (
                Query(
                    "histogram_quantile(0.9, sum by (le, view) "
                    "(rate(serving_app_feature_age_seconds_bucket[$__rate_interval])))",
                    "{{view}}",
                ),
            ),
            unit="s",
            bounds=(0, None),
        ),
    ),
)
