"""The stream's circumstances, and what paired and unpaired tests make of them."""

import numpy as np
import pytest

from orchestration.rollout.policy import shipped_policy
from orchestration.rollout.simulation.flights import Flights
from orchestration.rollout.simulation.stream import drawn_load, drawn_traffic, latency_stop, stream_stops
from serving_gateway.control.reflex import TripPolicy

POLICY = shipped_policy().evidence


def test_traffic_is_split_by_keys_and_ends_with_the_canarys_last_request(made_up_flights: Flights) -> None:
    traffic = drawn_traffic(np.random.default_rng(1), made_up_flights, 2000)
    assert (traffic.arm == 1).sum() == 2000
    assert traffic.arm[-1] == 1
    assert (traffic.arm == 2).sum() > 200
    assert traffic.failing.max() <= TripPolicy().tolerated, "the reflex's own premise"
    assert set(np.unique(traffic.size)) <= {1, 2, 4, 8}


def test_more_requests_than_the_canarys_keys_have_are_refused(made_up_flights: Flights) -> None:
    with pytest.raises(ValueError, match="take more flights"):
        drawn_traffic(np.random.default_rng(1), made_up_flights, 10**6)


def test_load_goes_on_for_a_while() -> None:
    load = drawn_load(np.random.default_rng(1), 100_000)
    later = np.corrcoef(load[:-500], load[500:])[0, 1]
    assert 0.2 < later < 0.8
    assert 0.2 < load.std() < 0.6


def test_keys_are_taken_for_guilt_by_unpaired_tests_alone(made_up_flights: Flights) -> None:
    stops = [stream_stops(np.random.default_rng(run), made_up_flights, 2000, POLICY) for run in range(60)]
    ours = [min(found[name] for name in found if not name.startswith("unpaired_")) for found in stops]
    assert np.isfinite(ours).mean() <= 0.1
    assert np.mean([found["unpaired_score"] == 0.0 for found in stops]) > 0.15


def test_a_canary_that_is_slower_on_the_stream_is_found(made_up_flights: Flights) -> None:
    rng = np.random.default_rng(3)
    found = []
    for _ in range(10):
        traffic = drawn_traffic(rng, made_up_flights, 2000)
        latency = np.exp(traffic.load + rng.normal(0, 0.35, len(traffic.arm)) + 0.4 * (traffic.arm == 1))
        found.append(latency_stop(traffic, latency * np.sqrt(traffic.size), POLICY))
    assert 20 < np.median(found) < 600
