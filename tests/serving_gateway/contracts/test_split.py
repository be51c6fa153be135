"""Laws of the sticky split."""

import random

from hypothesis import given
from hypothesis import strategies as st

from serving_gateway.contracts.split import place, position, routing_key, sampled

KEYS = st.text(max_size=40)
GOLDEN = [True, False, True, False, False, False, True, True]
WEIGHTS = st.integers(0, 10_000)


def to_canary(salt: str, key: str, weight_bp: int) -> bool:
    return place(salt, key, weight_bp) == "canary"


@given(KEYS, KEYS, WEIGHTS, WEIGHTS)
def test_raising_the_weight_moves_no_key_out(salt: str, key: str, one: int, other: int) -> None:
    low, high = sorted((one, other))
    assert to_canary(salt, key, high) >= to_canary(salt, key, low)


@given(KEYS, KEYS, WEIGHTS, WEIGHTS)
def test_up_to_half_no_key_leaves_the_control_either(salt: str, key: str, one: int, other: int) -> None:
    low, high = sorted((one // 2, other // 2))
    if place(salt, key, low) == "control":
        assert place(salt, key, high) == "control"


def test_the_control_is_as_large_as_the_canary_as_long_as_there_is_room() -> None:
    n = 40_000
    for weight in (0, 500, 3000, 5000, 8000, 10_000):
        share = min(weight, 10_000 - weight) / 10_000
        hits = sum(place("s", str(key), weight) == "control" for key in range(n))
        assert abs(hits - n * share) <= 4.5 * (n * share * (1 - share)) ** 0.5


@given(KEYS, KEYS)
def test_the_ends_are_nobody_and_everybody(salt: str, key: str) -> None:
    assert not to_canary(salt, key, 0)
    assert to_canary(salt, key, 10_000)
    assert not sampled(salt, key, 0.0)
    assert sampled(salt, key, 1.0)


def test_a_key_keeps_its_place_for_ever() -> None:
    """Golden values: a change here would move every user of every running canary."""
    assert [to_canary("drift", f"key-{n}", 5000) for n in range(8)] == GOLDEN
    assert position("drift", "key-0") != position("drift2", "key-0")


def test_salt_and_key_do_not_run_together() -> None:
    assert position("ab", "c") != position("a", "bc")


def test_the_share_of_structured_keys_is_within_binomial_bounds() -> None:
    n = 100_000
    for weight in (10, 500, 1000, 5000):
        share = weight / 10_000
        hits = sum(to_canary("s", f"JFK\x1fN{number:05d}", weight) for number in range(n))
        assert abs(hits - n * share) < 4.5 * (n * share * (1 - share)) ** 0.5


def test_two_salts_assign_independently() -> None:
    n = 40_000
    both = sum(to_canary("a", str(k), 1000) and to_canary("b", str(k), 1000) for k in range(n))
    assert abs(both - n * 0.01) < 4.5 * (n * 0.01 * 0.99) ** 0.5


def test_sampling_is_deterministic_and_fair() -> None:
    ids = [str(random.Random(1).random() + n) for n in range(20_000)]
    first = [sampled("shadow", i, 0.3) for i in ids]
    assert first == [sampled("shadow", i, 0.3) for i in ids]
    assert abs(sum(first) - 6000) < 4.5 * (20_000 * 0.21) ** 0.5


def test_routing_key_prefers_header_then_entities_then_request_id() -> None:
    entities = {"tailnum": "N1", "origin": "JFK"}
    assert routing_key("mine", entities, "r") == "mine"
    assert routing_key(None, entities, "r") == "JFK\x1fN1"
    assert routing_key("", {}, "r") == "r"
    assert routing_key(None, dict(reversed(entities.items())), "x") == "JFK\x1fN1"
