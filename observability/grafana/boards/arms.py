"""What the model on trial does beside the others."""

from observability.grafana.boards.latency import ARM_COLOURS, quantile
from observability.grafana.model import About, Panel, Query, Row, above

_NOBODY = ' or label_replace(vector(0), "model_variant", "nobody on trial", "", "")'

ARMS_ROW = Row(
    "What the model on trial does",
    (
        Panel(
            "lines",
            "Share of the rows, by arm",
            About(
                "Of the rows that answer, the share of each arm.",
                "canary and control have the canary's weight between them and the routing's.",
                "far from the weight: few keys make most of the traffic.",
                "5.1 A rollout is under way",
            ),
            (
                Query(
                    'sum by (model_variant) (rate(serving_app_requests_total{model_variant!="shadow"}[$__rate_interval]))'
                    ' / scalar(sum(rate(serving_app_requests_total{model_variant!="shadow"}[$__rate_interval])))',
                    "{{model_variant}}",
                ),
            ),
            unit="percentunit",
            colours=ARM_COLOURS,
            bounds=(0, 1),
            stacked=True,
        ),
        Panel(
            "lines",
            "Fallbacks",
            About(
                "Rows a second that the baseline answered because the canary failed.",
                "0.",
                "the canary fails; callers do not notice. The reflex stops it when it is gross.",
                "4. Rollback",
            ),
            (Query("sum(rate(serving_app_fallbacks_total[$__rate_interval]))", "fallbacks"),),
            unit="reqps",
            limits=above(0.001),
            bounds=(0, None),
        ),
        Panel(
            "stat",
            "Canaries stopped by a gateway",
            About(
                "Trips of the gateways' reflex in the range that is shown.",
                "0.",
                "the notice and `/rollout/history` say why.",
                "5. Shadow review",
            ),
            (Query("sum(increase(serving_app_reflex_trips_total[$__range]))", "trips"),),
            decimals=0,
            limits=above(0.5),
        ),
        Panel(
            "lines",
            "Other decisions than the baseline's",
            About(
                "Of the rows that two models scored, the share that they decide differently.",
                "a few per cent, steady.",
                "a jump: one of the two gets other features, or is another model than was registered.",
                "5. Shadow review",
            ),
            (
                Query(
                    "sum by (model_variant) (rate(serving_app_decision_flips_total[$__rate_interval]))"
                    " / sum by (model_variant) (rate(serving_app_score_difference_count[$__rate_interval]))" + _NOBODY,
                    "{{model_variant}}",
                ),
            ),
            unit="percentunit",
            colours=ARM_COLOURS,
            bounds=(0, None),
        ),
        Panel(
            "lines",
            "Difference of the scores, p90",
            About(
                "Nine of ten rows that two models scored differ by less.",
                "steady.",
                "a jump: see the panel beside.",
                "5. Shadow review",
            ),
            (
                Query(
                    "histogram_quantile(0.9, sum by (le, model_variant) "
                    "(rate(serving_app_score_difference_bucket[$__rate_interval])))" + _NOBODY,
                    "{{model_variant}}",
                ),
            ),
            colours=ARM_COLOURS,
            bounds=(0, None),
        ),
        Panel(
            "lines",
            "Shadow rows dropped",
            About(
                "Rows a second that the shadow had no room for.",
                "0.",
                "the shadow is slower than the traffic: lower its fraction. Answers do not wait for it.",
                "5. Shadow review",
            ),
            (Query("sum(rate(serving_app_shadow_dropped_total[$__rate_interval]))", "dropped"),),
            unit="reqps",
            limits=above(0.001),
            bounds=(0, None),
        ),
        Panel(
            "lines",
            "Median latency, canary beside control",
            About(
                "The baseline model at the canary's own weight is the control: like with like.",
                "the two lie on one another.",
                "the canary is slower throughout: the test on latency will convict it.",
                "5.1 A rollout is under way",
            ),
            (Query(quantile(0.5, "model_variant"), "{{model_variant}}"),),
            unit="s",
            colours=ARM_COLOURS,
            width=16,
            bounds=(0, None),
        ),
        Panel(
            "stat",
            "Arms that are refused",
            About(
                "Arms that the rollout names and a gateway does not use: their contract does not fit, or Triton lacks them.",
                "0.",
                "`/health` says which and why.",
                "3.1 Gateway",
            ),
            (Query("sum(serving_app_arm_refused) or vector(0)", "refused"),),
            decimals=0,
            limits=above(1),
        ),
    ),
)
