"""How long answers take, by arm."""

from observability.grafana.model import About, Colour, Panel, Query, Row, above, below
from observability.grafana.objectives import LATENCY, WITHIN_S

ARM_COLOURS: dict[str, Colour] = {"baseline": "blue", "control": "purple", "canary": "orange", "shadow": "text"}
_BUCKET = "serving_app_request_latency_seconds_bucket"


def quantile(share: float, *by: str, of: str = "") -> str:
    """The time within which `share` of the scores were there, by labels; `of` selects, `{label="value"}`."""
    kept = ", ".join(("le", *by))
    return f"histogram_quantile({share:g}, sum by ({kept}) (rate({_BUCKET}{of}[$__rate_interval])))"


LATENCY_ROW = Row(
    "Latency",
    (
        Panel(
            "heatmap",
            "How long answers take",
            About(
                "Scores that answer, by the time from the request's arrival; the brighter, the more.",
                f"one bright band far below {WITHIN_S} s.",
                "a second band that rises: one arm or one Triton is slow. All of it rises: the machine is full.",
                "3.1 Gateway",
            ),
            (Query(f'sum by (le) (increase({_BUCKET}{{model_variant!="shadow"}}[$__rate_interval]))', "{{le}}"),),
            unit="s",
            width=12,
            height=9,
        ),
        Panel(
            "lines",
            "Quantiles of the answers",
            About(
                "Half, 95 % and 99 % of the scores that answer were there within this time.",
                f"p99 below {WITHIN_S} s.",
                "p99 alone rises: bursts or a slow arm. p50 too: Triton, Redis or the machine is full.",
                "3.1 Gateway",
            ),
            tuple(
                Query(quantile(share, of='{model_variant!="shadow"}'), name)
                for share, name in ((0.5, "p50"), (0.95, "p95"), (0.99, "p99"))
            ),
            unit="s",
            limits=above(float(WITHIN_S)),
            colours={"p50": "green", "p95": "yellow", "p99": "purple"},
            width=12,
            height=9,
            bounds=(0, None),
        ),
        Panel(
            "lines",
            "p99, by arm",
            About(
                "99 % of an arm's scores were there within this time.",
                "the canary is where its control is.",
                "the canary alone is slow: the verdict on its latency follows; do not wait for it where answers suffer.",
                "4. Rollback",
            ),
            (Query(quantile(0.99, "model_variant"), "{{model_variant}}"),),
            unit="s",
            limits=above(float(WITHIN_S)),
            colours=ARM_COLOURS,
            width=12,
            bounds=(0, None),
        ),
        Panel(
            "lines",
            f"Share within {WITHIN_S} s, by arm",
            About(
                f"Share of an arm's scores that were there within {WITHIN_S} s.",
                "above 99 %.",
                "look at the quantiles of the same arm.",
                "3.1 Gateway",
            ),
            (
                Query(
                    f'sum by (model_variant) (rate({_BUCKET}{{le="{WITHIN_S}"}}[$__rate_interval]))'
                    " / sum by (model_variant) (rate(serving_app_request_latency_seconds_count[$__rate_interval]))",
                    "{{model_variant}}",
                ),
            ),
            unit="percentunit",
            limits=below(LATENCY),
            colours=ARM_COLOURS,
            width=12,
            bounds=(None, 1),
        ),
    ),
)
