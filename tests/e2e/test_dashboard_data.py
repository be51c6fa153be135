"""No panel is empty: every query of every dashboard, over a real Prometheus that has scraped a day of the platform.

The day has a canary that is convicted, and everything is judged at its end: the trial, the inputs, the model's health.
"""

import math
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta

import pytest

from orchestration.ingestion.partitions import midnight
from tests.e2e.conftest import CALM_DAY, DAY, Platform
from tests.observability.exposed import TRITON
from tests.observability.promql import Drawn, filled, metric_names, queries
from tests.observability.scraping import PROMETHEUS, PrometheusServer, prometheus
from tests.servers import until

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.timeout(900),
    pytest.mark.skipif(PROMETHEUS is None, reason="no prometheus: as root, apt-get install prometheus"),
]
DAY_WITH_CANARY = CALM_DAY + DAY
STEP_S = 2


@dataclass(frozen=True)
class Watched:
    """A Prometheus, and since when it has watched."""

    server: PrometheusServer
    since: float

    def series(self, query: Drawn) -> list[list[float]]:
        """What a panel would draw now: the finite values of each series of the query."""
        now = time.time()
        span = f"{math.ceil(now - self.since)}s"
        expr = filled(query.expr, rate_interval="10s", span=span)
        if query.instant:
            found = [[one["value"]] for one in self.server.instant(expr)]
        else:
            found = [one["values"] for one in self.server.range(expr, self.since, now, STEP_S)]
        finite = [[float(value) for _, value in points if math.isfinite(float(value))] for points in found]
        return [values for values in finite if values]


@pytest.fixture(scope="module")
def watched(platform: Platform, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    """A day of requests with a canary, and every look at it."""
    with prometheus(platform.settings, tmp_path_factory.mktemp("prometheus")) as server:
        found = Watched(server, time.time())
        platform.start_canary()
        platform.rewind(DAY_WITH_CANARY)
        assert not platform.replay().run(platform.minutes(DAY_WITH_CANARY)).errors
        platform.store.advance_clock(midnight(DAY_WITH_CANARY + DAY) + timedelta(hours=2))  # all labels have come
        platform.runs.wait(platform.runs.launch("judge_canary", ops={"canary_verdict": {"roll_back_at_once": True}}))
        platform.succeed("report_drift")
        platform.succeed("judge_health")
        judged = time.time()
        told = f"max(dagster_look_timestamp_seconds) > {judged} and max(platform_look_timestamp_seconds) > {judged}"
        until(lambda: bool(server.instant(told)), "the sensor has written gauges since", timeout_s=120)
        yield found


@pytest.mark.parametrize("query", [query for query in queries() if query.panel != "Rollout changes"], ids=str)
def test_no_panel_is_empty(watched: Watched, query: Drawn) -> None:
    assert watched.series(query)


@pytest.mark.parametrize("expr", ["no_such_metric", "vector(0) / 0", 'up{job="nobody"}'])
def test_an_empty_one_would_be_seen(watched: Watched, expr: str) -> None:
    assert not watched.series(Drawn("", "", expr, instant=False))


def test_a_change_of_the_rollout_is_marked(watched: Watched) -> None:
    (mark,) = {query.expr for query in queries() if query.panel == "Rollout changes"}
    assert watched.series(Drawn("", "", mark, instant=False))


def test_the_conviction_is_seen(watched: Watched) -> None:
    """The figures are those that decided, not only there."""
    (failed,) = watched.server.instant('rollout_verdict{outcome="fail"}')
    assert failed["value"][1] == "1"
    beyond = watched.server.instant(
        'rollout_evidence_log10{claim="worse"} >= on (canary, test, claim) rollout_evidence_bound_log10'
    )
    assert {one["metric"]["test"] for one in beyond}
    assert (
        max(max(values) for values in watched.series(Drawn("", "", "serving_app_canary_weight", instant=False))) == 0.1
    )
    (weight,) = watched.server.instant("rollout_state_canary_weight")
    assert weight["value"][1] == "0"


def test_tritons_metrics_are_its_own(watched: Watched) -> None:
    for name in TRITON:
        assert watched.server.instant(name), name
    assert set().union(*(metric_names(query.expr) for query in queries())) >= TRITON
