"""Has the world moved, does it hurt the model, and is the data sound?"""

from observability.grafana.boards.live import FEATURES_ROW
from observability.grafana.model import About, Board, Colour, Limit, Panel, Query, Row, above

_OUTCOMES: dict[str, Colour] = {"good": "green", "pass": "green", "inconclusive": "blue", "bad": "red", "fail": "red"}
_H = '{hours="$hours"}'

_MODEL = Row(
    "The model that answers, on its labels",
    (
        Panel(
            "names",
            "Health",
            About(
                "The outcome of the last look at the model's labels.",
                "good, or inconclusive in the first weeks.",
                "bad: two weeks running the scores have left the world. A challenger is asked for by itself.",
                "3.6 Drift",
            ),
            (Query("model_health_outcome == 1", "{{outcome}}"),),
            colours=_OUTCOMES,
            width=4,
        ),
        Panel(
            "lines",
            "Surprise",
            About(
                "Log-loss beyond that of calibrated scores, nats a row, of the newest judged week, and the threshold that "
                "the model's own past has set.",
                "below the threshold.",
                "above it two weeks running asks for a new model; see that the challenger's run succeeds.",
                "3.6 Drift",
            ),
            (
                Query("model_health_surprise", "surprise"),
                Query("model_health_surprise_threshold", "threshold"),
            ),
            colours={"surprise": "blue", "threshold": "red"},
            width=10,
            steps=True,
        ),
        Panel(
            "lines",
            "Calibration bias",
            About(
                "Mean score minus share of delayed rows, of the newest judged week: above 0 the model fears too much.",
                "between the two thresholds.",
                "outside two weeks running asks for a new model.",
                "3.6 Drift",
            ),
            (
                Query("model_health_calibration_bias", "bias"),
                Query("model_health_calibration_bias_threshold", "threshold"),
                Query("-model_health_calibration_bias_threshold", "lower threshold"),
            ),
            unit="percentunit",
            colours={"bias": "blue", "threshold": "red", "lower threshold": "red"},
            width=10,
            steps=True,
        ),
        Panel(
            "lines",
            "Loss",
            About(
                "Log-loss and Brier score of the newest judged week.",
                "as on the hold-out; a storm week is worse for every model, so read the surprise first.",
                "they rise together with the surprise: the model has aged.",
                "6. Regression checks",
            ),
            (Query("model_health_log_loss", "log-loss"), Query("model_health_brier", "Brier score")),
            width=8,
            bounds=(0, None),
            steps=True,
        ),
        Panel(
            "lines",
            "Order of the scores",
            About(
                "Area under the ROC curve of the newest judged week.",
                "above 0.7.",
                "it falls while the loss does not: a calm week. Both: look for a broken feature below.",
                "6. Regression checks",
            ),
            (Query("model_health_auc", "AUC"),),
            limits=(Limit(None, "red"), Limit(0.6, "orange"), Limit(0.7, "green")),
            width=8,
            bounds=(0.5, 1),
            steps=True,
        ),
        Panel(
            "lines",
            "Labels behind the event clock",
            About(
                "Event time between the event clock and up to when labels are known.",
                "hours; it grows between two looks and falls with each.",
                "days: look whether days are ingested and whether callers report outcomes.",
                "3.6 Drift",
            ),
            (
                Query(
                    "max(event_clock_timestamp_seconds) - max(model_health_label_watermark_timestamp_seconds)", "behind"
                ),
            ),
            unit="s",
            limits=above(3 * 86_400),
            width=8,
        ),
    ),
)

_INPUTS = Row(
    "Inputs, against the training window",
    (
        Panel(
            "states",
            "Verdicts of the drift report",
            About(
                "`inputs` is drift; nulls, ranges and freshness are data alarms.",
                "pass, or inconclusive on a day with few requests.",
                "inputs: it is the world, drift alone rolls nothing back. The others: a source or a pipeline is broken.",
                "3.6 Drift",
            ),
            (
                Query(
                    'max by (check) (drift_verdict{hours="$hours", outcome="fail"}) * 2 '
                    '+ max by (check) (drift_verdict{hours="$hours", outcome="pass"})',
                    "{{check}}",
                ),
            ),
            words={"0": ("inconclusive", "blue"), "1": ("pass", "green"), "2": ("fail", "red")},
            width=8,
        ),
        Panel(
            "stat",
            "Drifted features",
            About(
                "Share of the features that differ more than their own past windows did.",
                "below 50 %.",
                "50 % and more is drift: read the report before anything else.",
                "3.6 Drift",
            ),
            (Query(f"drift_share{_H}", "drifted"),),
            unit="percentunit",
            decimals=0,
            limits=above(0.5, 0.25),
            width=4,
        ),
        Panel(
            "stat",
            "Rows compared",
            About(
                "Logged requests in the window of the last report.",
                "as many as on a usual day.",
                "few: nobody asks, or the log does not land.",
                "3.5 Prediction log",
            ),
            (Query(f"drift_rows{_H}", "rows"),),
            decimals=0,
            limits=(Limit(None, "blue"),),
            width=4,
        ),
        Panel(
            "stat",
            "Age of the report",
            About(
                "How long ago the last report was made, by the clock on the wall.",
                "below 36 hours.",
                "older: look for the last run of `report_drift`.",
                "3.6 Drift",
            ),
            (Query(f"time() - drift_look_timestamp_seconds{_H}", "ago"),),
            unit="s",
            limits=above(36 * 3600),
            width=4,
        ),
        Panel(
            "stat",
            "Answered without the online store",
            About(
                "Share of the compared requests that were answered with every stored feature missing.",
                "0.",
                "above 1 % is a data alarm: the online store was away.",
                "3.3 Online features",
            ),
            (Query(f"drift_degraded_share{_H}", "degraded"),),
            unit="percentunit",
            decimals=1,
            limits=above(0.01, 0.0001),
            width=4,
        ),
        Panel(
            "bars",
            "PSI, as a share of its threshold",
            About(
                "Population stability index of each feature over the one that its own past windows reached.",
                "below 100 %.",
                "one feature far off: its source. Many a little: the world.",
                "3.6 Drift",
            ),
            (Query(f"sort_desc(drift_psi{_H} / drift_psi_limit{_H})", "{{feature}}"),),
            unit="percentunit",
            decimals=0,
            limits=above(1, 0.7),
            width=12,
            height=16,
            bounds=(0, 2),
        ),
        Panel(
            "lines",
            "PSI, by feature",
            About(
                "The index itself, report by report.",
                "it waves with the seasons.",
                "a jump from one report to the next is a broken source more often than a changed world.",
                "3.6 Drift",
            ),
            (Query(f"drift_psi{_H}", "{{feature}}"),),
            width=12,
            height=16,
            bounds=(0, None),
            steps=True,
        ),
        Panel(
            "table",
            "Nulls and values out of range",
            About(
                "Share of the rows without a value, and outside the training window's range, with the limits of each.",
                "below the limits.",
                "above: the source of that feature. A unit that was changed shows as out of range.",
                "3.3 Online features",
            ),
            (
                Query(f"sum by (feature) (drift_null_share{_H})", "null"),
                Query(f"sum by (feature) (drift_null_share_limit{_H})", "null, limit"),
                Query(f"sum by (feature) (drift_outside_share{_H})", "out of range"),
                Query(f"sum by (feature) (drift_outside_share_limit{_H})", "out of range, limit"),
            ),
            unit="percentunit",
            key="feature",
            width=12,
        ),
        Panel(
            "table",
            "Freshness of the views",
            About(
                "Share of the requests that found a view missing or expired, its median age, and the limits of both.",
                "below the limits.",
                "above: the writer of that view is behind. Stale features roll nothing back.",
                "3.3 Online features",
            ),
            (
                Query(f"100 * sum by (view) (drift_view_stale_share{_H})", "stale, %"),
                Query(f"100 * sum by (view) (drift_view_stale_share_limit{_H})", "stale, limit, %"),
                Query(f"sum by (view) (drift_view_age_seconds{_H}) / 60", "age, min"),
                Query(f"sum by (view) (drift_view_age_seconds_limit{_H}) / 60", "age, limit, min"),
            ),
            unit="none",
            decimals=1,
            key="view",
            width=12,
        ),
    ),
)

BOARD = Board(
    "drift-data",
    "Drift and data",
    "Has the world moved, does it hurt the model, and is the data sound?",
    (_MODEL, _INPUTS, FEATURES_ROW),
    span="now-7d",
    refresh="5m",
    choices={"hours": ("24", "168")},
)
