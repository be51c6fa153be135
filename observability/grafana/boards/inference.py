"""Does the platform answer, fast enough, and how much of the promise is left?"""

from observability.grafana.boards.latency import ARM_COLOURS, LATENCY_ROW
from observability.grafana.model import About, Board, Limit, Panel, Query, Row, above, below
from observability.grafana.objectives import DAYS, FAST, SLOW, WITHIN_S, availability, latency

_WINDOWS = ("5m", "1h", "30m", "6h")


def _burning(objective_name: str, what: str, burn: tuple[Query, ...]) -> Panel:
    return Panel(
        "lines",
        f"Burn rate: {objective_name}",
        About(
            f"How many times faster than evenly the error budget of {what} goes: 1 spends it in {DAYS} days.",
            f"all windows below {SLOW:g}.",
            f"above {FAST:g} over 1 h and 5 m, or above {SLOW:g} over 6 h and 30 m, somebody is paged: look which arm and "
            "which status it is, then take a bad canary's traffic away, or mend Triton.",
            "3.1 Gateway",
        ),
        burn,
        limits=(Limit(None, "green"), Limit(SLOW, "orange"), Limit(FAST, "red")),
        width=12,
        bounds=(0, None),
    )


_NOW = Row(
    "Now",
    (
        Panel(
            "stat",
            "Gateways that are ready",
            About(
                "Gateways whose `/ready` would be 200: a model is served, and Triton has it.",
                "every one that was started.",
                "0 is an outage: `/ready` says what is missing.",
                "3.1 Gateway",
            ),
            (Query('sum(serving_app_ready) or sum(up{job="serving"})', "ready"),),
            decimals=0,
            limits=below(1),
            width=4,
            height=5,
        ),
        Panel(
            "stat",
            "Predictions answered",
            About(
                "Share of the predictions asked for in the last 5 minutes that were not answered by a 5xx.",
                "99.9 % and more.",
                "look at the answers by status and the failures by arm below.",
                "3.1 Gateway",
            ),
            (Query(f"1 - ({availability.ratio('5m')})", "answered"),),
            unit="percentunit",
            decimals=2,
            limits=below(0.99, availability.share),
            width=5,
            height=5,
        ),
        Panel(
            "stat",
            f"Within {WITHIN_S} s",
            About(
                f"Share of the scores of the last 5 minutes that were there within {WITHIN_S} s of the request's arrival.",
                "99 % and more.",
                "look at the quantiles: all arms slow is Triton or Redis, one arm is its model.",
                "3.2 Triton",
            ),
            (Query(f"1 - ({latency.ratio('5m')})", f"within {WITHIN_S} s"),),
            unit="percentunit",
            decimals=2,
            limits=below(0.95, latency.share),
            width=5,
            height=5,
        ),
        Panel(
            "gauge",
            "Availability budget left",
            About(
                f"Of the failures that the objective of 99.9 % allows in {DAYS} days, the share that has not been used.",
                "above 25 %.",
                "at 0 the promise of these days is broken: change nothing that is not a repair.",
                "1. Intake",
            ),
            (Query(availability.left(), "left"),),
            unit="percentunit",
            decimals=1,
            limits=below(0.0001, 0.25),
            bounds=(0, 1),
            width=5,
            height=5,
        ),
        Panel(
            "gauge",
            "Latency budget left",
            About(
                f"Of the slow scores that the objective of 99 % allows in {DAYS} days, the share that has not been used.",
                "above 25 %.",
                "at 0 the promise of these days is broken: change nothing that is not a repair.",
                "1. Intake",
            ),
            (Query(latency.left(), "left"),),
            unit="percentunit",
            decimals=1,
            limits=below(0.0001, 0.25),
            bounds=(0, 1),
            width=5,
            height=5,
        ),
    ),
)

_TRAFFIC = Row(
    "Traffic",
    (
        Panel(
            "lines",
            "Rows scored, by arm",
            About(
                "Rows a second. `control` is the baseline model at the canary's share; `shadow` answers nobody.",
                "baseline follows the traffic, and the canary its weight.",
                "all at 0 while callers ask: look at the answers by status.",
                "3.1 Gateway",
            ),
            (
                Query(
                    "sum by (model_variant) (rate(serving_app_requests_total[$__rate_interval]))", "{{model_variant}}"
                ),
            ),
            unit="reqps",
            colours=ARM_COLOURS,
            width=12,
            stacked=True,
        ),
        Panel(
            "lines",
            "Answers, by status",
            About(
                "HTTP answers a second of all routes but probes.",
                "200. Some 4xx are callers' errors.",
                "503: queues are full or the online store is away. 500: a failure of ours, look into the log.",
                "3.1 Gateway",
            ),
            (
                Query(
                    "sum by (status) (rate(serving_app_http_responses_total"
                    '{route!~"/health|/ready|/metrics"}[$__rate_interval]))',
                    "{{status}}",
                ),
            ),
            unit="reqps",
            colours={"200": "green", "500": "red", "503": "red"},
            width=12,
            stacked=True,
        ),
    ),
)

_ERRORS = Row(
    "Errors",
    (
        _burning(
            "availability",
            "99.9 % availability",
            tuple(Query(availability.burn(window), f"over {window}") for window in _WINDOWS),
        ),
        _burning(
            "latency",
            f"99 % within {WITHIN_S} s",
            tuple(Query(latency.burn(window), f"over {window}") for window in _WINDOWS),
        ),
        Panel(
            "lines",
            "Rows that an arm did not score",
            About(
                "Share of an arm's rows that ended in an error, a time-out or an invalid output. A canary's are answered by "
                "the baseline all the same.",
                "0 for every arm.",
                "only the canary: take its traffic away. The baseline too: look at Triton.",
                "4. Rollback",
            ),
            (
                Query(
                    "1 - sum by (model_variant) "
                    '(rate(serving_app_requests_total{outcome="ok"}[$__rate_interval]))'
                    " / sum by (model_variant) (rate(serving_app_requests_total[$__rate_interval]))",
                    "{{model_variant}}",
                ),
            ),
            unit="percentunit",
            limits=above(0.01, 0.001),
            colours=ARM_COLOURS,
            width=12,
            bounds=(0, None),
        ),
        Panel(
            "lines",
            "Failed batches, by arm and kind",
            About(
                "Batches a second that an arm did not score, by what went wrong.",
                "none.",
                "`timeout`: the model or Triton is slow. `error`: Triton refuses it. `invalid`: it answered no probability.",
                "3.2 Triton",
            ),
            (
                Query(
                    "sum by (model_variant, kind) (rate(serving_app_request_exceptions_total[$__rate_interval]))"
                    ' or label_replace(vector(0), "kind", "none", "", "")',
                    "{{model_variant}} {{kind}}",
                ),
            ),
            unit="ops",
            limits=above(0.001),
            width=12,
            bounds=(0, None),
        ),
    ),
)

_BEHIND = Row(
    "Behind the answers",
    (
        Panel(
            "states",
            "What the gateways reach",
            About(
                "Is there a gateway that is ready, does it reach the rollout store, and does it use every arm that the "
                "rollout names?",
                "green throughout.",
                "no store: it serves what it last knew, and no change reaches it. An arm that is refused: `/health` says why.",
                "3.1 Gateway",
            ),
            (
                Query('max(up{job="serving"})', "a gateway answers"),
                Query("max(serving_app_ready)", "is ready"),
                Query("min(serving_app_rollout_store_up)", "reaches the rollout store"),
                Query("1 - (max(serving_app_arm_refused) or vector(0))", "uses every arm"),
            ),
            words={"0": ("no", "red"), "1": ("yes", "green")},
            width=12,
        ),
        Panel(
            "lines",
            "Answered, but not as meant",
            About(
                "Rows a second answered by the baseline for a failed canary, and rows answered without stored features.",
                "both 0.",
                "fallbacks: the canary fails. Without features: the online store is away.",
                "3.3 Online features",
            ),
            (
                Query("sum(rate(serving_app_fallbacks_total[$__rate_interval]))", "fallbacks"),
                Query("sum(rate(serving_app_degraded_rows_total[$__rate_interval]))", "without stored features"),
            ),
            unit="reqps",
            limits=above(0.001),
            width=12,
            bounds=(0, None),
        ),
    ),
)

BOARD = Board(
    "drift-inference-slo",
    "Inference SLO",
    "Does the platform answer, fast enough, and how much of the promise is left?",
    (_NOW, _TRAFFIC, _ERRORS, LATENCY_ROW, _BEHIND),
)
