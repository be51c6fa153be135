"""The service level objectives as the dashboards draw them; the alerts on them rest on the same queries.

Method and burn rates: SRE Workbook, chapter 5 (Google, 2018).
"""

from typing import NamedTuple

DAYS = 30
AVAILABILITY = 0.999
LATENCY = 0.99
# A bound of the histogram (serving_gateway/metrics.py).
WITHIN_S = "0.1"
# Of a budget's even rate: 2 % of it in an hour, 5 % in six.
FAST, SLOW = 14.4, 6.0

_ASKED = 'route=~"/predict|/v2/models/.*/infer"'
_ANSWERED = 'model_variant!="shadow"'


class Objective(NamedTuple):
    """A share that is promised, and the PromQL of the share that breaks it, `{window}` to be filled in."""

    share: float
    broken: str

    def ratio(self, window: str) -> str:
        """The share that broke it within `window`."""
        return self.broken.replace("{window}", window)

    def burn(self, window: str) -> str:
        """How many times faster than evenly the error budget went within `window`."""
        return f"({self.ratio(window)}) / (1 - {self.share:g})"

    def left(self) -> str:
        """The share of the budget of DAYS that is left; below 0 it is overspent."""
        return f"1 - {self.burn(f'{DAYS}d')}"


availability = Objective(
    AVAILABILITY,
    f'(sum(rate(serving_app_http_responses_total{{{_ASKED}, status=~"5.."}}[{{window}}])) or vector(0))'
    f" / sum(rate(serving_app_http_responses_total{{{_ASKED}}}[{{window}}]))",
)
latency = Objective(
    LATENCY,
    f'1 - sum(rate(serving_app_request_latency_seconds_bucket{{{_ANSWERED}, le="{WITHIN_S}"}}[{{window}}]))'
    f" / sum(rate(serving_app_request_latency_seconds_count{{{_ANSWERED}}}[{{window}}]))",
)
