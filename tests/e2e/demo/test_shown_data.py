"""No panel is empty: every query of every dashboard, over a real Prometheus that has watched the demo from its beginning.

The demo has a canary that is convicted; the model's health is judged here, once the labels of its days have come.
"""

import time
from datetime import timedelta

import pytest

from orchestration.demo.plan import CANARY_DAY
from orchestration.ingestion.partitions import midnight
from tests.e2e.conftest import DAY, Platform
from tests.e2e.demo.conftest import Watched
from tests.observability.exposed import TRITON
from tests.observability.promql import Drawn, metric_names, queries
from tests.observability.scraping import PROMETHEUS
from tests.servers import until

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.timeout(960),
    pytest.mark.skipif(PROMETHEUS is None, reason="no prometheus: as root, apt-get install prometheus"),
]


@pytest.fixture(scope="module")
def watched(platform: Platform, watcher: Watched) -> Watched:
    """The demo, and what a look at the model's health adds, to its last gauge."""
    platform.store.advance_clock(midnight(CANARY_DAY + 2 * DAY) + timedelta(hours=2))  # all labels have come
    platform.succeed("judge_health")
    judged = time.time()
    told = f"max(dagster_look_timestamp_seconds) > {judged} and max(platform_look_timestamp_seconds) > {judged}"
    until(lambda: bool(watcher.server.instant(told)), "the sensor has written gauges since", timeout_s=120)
    return watcher


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
