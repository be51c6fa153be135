"""The store against a real Redis."""

import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import msgspec
import pytest
import redis

from serving_gateway.contracts.rollout import RolloutState
from serving_gateway.control import keys
from serving_gateway.control.store import (
    Acknowledgement,
    NoRolloutError,
    RolloutStore,
    StaleGenerationError,
    UnreadableDocumentError,
)
from serving_gateway.control.transitions import rolled_back
from tests.serving_gateway.support import CONTRACT, NOW, state_of, version

pytestmark = pytest.mark.integration
FIRST = state_of(CONTRACT)
SECOND = state_of(CONTRACT, version(2), weight_bp=100, generation=2)


@pytest.fixture
def store(redis_url: str) -> RolloutStore:
    return RolloutStore.connect(redis_url)


def test_a_change_is_written_audited_and_pushed_at_once(store: RolloutStore, redis_url: str) -> None:
    with redis.Redis.from_url(redis_url) as client, client.pubsub() as subscription:
        subscription.subscribe(keys.CHANGED)
        subscription.get_message(timeout=2)
        store.write(FIRST, None)
        store.write(SECOND, FIRST)
        pushed = [subscription.get_message(timeout=2) for _ in range(2)]
    assert store.read() == SECOND
    assert store.history() == [SECOND, FIRST]
    assert [msgspec.json.decode(m["data"], type=RolloutState) for m in pushed if m] == [FIRST, SECOND]


def test_a_stale_writer_is_told_what_stands_and_changes_nothing(store: RolloutStore) -> None:
    store.write(FIRST, None)
    store.write(SECOND, FIRST)
    for expected in (None, FIRST):
        with pytest.raises(StaleGenerationError) as caught:
            store.write(FIRST, expected)
        assert caught.value.current == SECOND
    assert store.history() == [SECOND, FIRST]


def test_a_write_that_expects_a_lost_state_is_stale(store: RolloutStore) -> None:
    with pytest.raises(StaleGenerationError, match="no state yet"):
        store.write(SECOND, FIRST)


def test_concurrent_changes_all_take_effect_one_after_another(store: RolloutStore, redis_url: str) -> None:
    store.write(FIRST, None)

    def change(number: int) -> None:
        own = RolloutStore.connect(redis_url)
        own.change(lambda s: rolled_back(s, actor=f"t{number}", reason="", now=NOW))

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(change, range(16)))
    history = store.history()
    assert [s.generation for s in history] == list(range(17, 0, -1))
    assert {s.actor for s in history[:-1]} == {f"t{n}" for n in range(16)}


def test_change_needs_a_state_and_may_decline(store: RolloutStore) -> None:
    with pytest.raises(NoRolloutError):
        store.change(lambda _: None)
    store.write(FIRST, None)
    assert store.change(lambda _: None) == FIRST
    assert store.history() == [FIRST]


def test_contracts_are_stored_under_their_digest(store: RolloutStore) -> None:
    assert store.contract(CONTRACT.digest) is None
    assert store.put_contract(CONTRACT) == CONTRACT.digest
    assert store.contract(CONTRACT.digest) == CONTRACT


def test_waiting_sees_lagging_live_gateways_and_ignores_dead_ones(store: RolloutStore, redis_url: str) -> None:
    store.write(FIRST, None)
    store.write(SECOND, FIRST)
    now = time.time()
    acks = [
        Acknowledgement("live", 1, 2, 100, now),
        Acknowledgement("lagging", 1, 1, 0, now),
        Acknowledgement("dead", 1, 1, 0, now - 60),
    ]
    with redis.Redis.from_url(redis_url) as client:
        client.hset(keys.ACKS, mapping={a.gateway: msgspec.json.encode(a) for a in acks})
        with pytest.raises(TimeoutError, match=r"older generation: lagging$"):
            store.wait_until_served(SECOND, timeout_s=0.05)
        # one that is ahead of the store has not seen it: the store has forgotten what that one serves
        client.hset(keys.ACKS, "lagging", msgspec.json.encode(Acknowledgement("lagging", 1, 9, 0, now)))
        with pytest.raises(TimeoutError, match=r"older generation: lagging$"):
            store.wait_until_served(SECOND, timeout_s=0.05)
        client.hset(keys.ACKS, "lagging", msgspec.json.encode(Acknowledgement("lagging", 1, 2, 0, now)))
        assert [a.gateway for a in store.wait_until_served(SECOND, timeout_s=1)] == ["lagging", "live"]
        # what the store no longer knows is served by nobody, however far they are
        with pytest.raises(TimeoutError):
            store.wait_until_served(msgspec.structs.replace(SECOND, reason="lost"), timeout_s=0.05)


def test_ages_are_by_the_clock_of_redis_not_by_the_callers(
    store: RolloutStore, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.write(FIRST, None)
    store.write(SECOND, FIRST)
    with redis.Redis.from_url(redis_url) as client:
        seconds, micros = client.time()
        ack = Acknowledgement("live", 1, 2, 100, seconds + micros / 1e6 - 2)
        client.hset(keys.ACKS, "live", msgspec.json.encode(ack))
    monkeypatch.setattr(time, "time", lambda: 0.0)
    [(heard, age_s)] = store.heard()
    assert heard == ack
    assert 2 <= age_s < 3
    assert store.wait_until_served(SECOND, timeout_s=1) == [ack]
    monkeypatch.setattr(time, "time", lambda: 1e12)
    assert store.wait_until_served(SECOND, timeout_s=1) == [ack]


def test_no_live_gateway_is_an_empty_list(store: RolloutStore) -> None:
    assert store.wait_until_served(SECOND, timeout_s=1) == []


@pytest.mark.parametrize("planted", [b"nonsense", b"{}", b'"\xff"', b"[" * 100_000])
def test_an_unreadable_document_is_an_error_that_names_its_key(
    planted: bytes, store: RolloutStore, redis_url: str
) -> None:
    with redis.Redis.from_url(redis_url) as client:
        client.set(keys.ROLLOUT, planted)
        client.hset(keys.ACKS, "g", planted)
    with pytest.raises(UnreadableDocumentError, match=keys.ROLLOUT):
        store.read()
    with pytest.raises(UnreadableDocumentError, match=keys.ACKS):
        store.acknowledgements()


def test_the_clock_is_in_utc_microseconds(store: RolloutStore, redis_url: str) -> None:
    store.advance_clock(datetime(2013, 5, 1, tzinfo=UTC))
    with redis.Redis.from_url(redis_url) as client:
        assert client.get(keys.CLOCK) == b"1367366400000000"


def test_changes_are_read_on_from_where_a_reader_stopped(store: RolloutStore) -> None:
    assert store.changes_after("0", 10) == []
    store.write(FIRST, None)
    store.write(SECOND, FIRST)
    (first, state), (second, _) = store.changes_after("0", 10)
    assert state == FIRST
    assert store.changes_after("0", 1) == [(first, FIRST)]
    assert store.changes_after(first, 10) == [(second, SECOND)]
    assert store.changes_after(second, 10) == []


def test_a_change_that_is_none_is_named_by_its_entry(store: RolloutStore) -> None:
    store.write(FIRST, None)
    ((first, _),) = store.changes_after("0", 10)
    for fields in ({"state": b"{"}, {"other": "x"}):
        entry = store._redis.xadd(keys.AUDIT, fields)
        assert isinstance(entry, bytes)
        ((found, error),) = store.changes_after(first, 10)
        assert found == entry.decode()
        assert isinstance(error, UnreadableDocumentError)
        assert f"{keys.AUDIT} {found}" in str(error)
        store._redis.xdel(keys.AUDIT, entry)


def test_a_forgotten_past_is_told_again_before_the_change_and_is_no_news(store: RolloutStore) -> None:
    third = rolled_back(SECOND, actor="gateway:g1", reason="restored", now=NOW)
    store.write(third, None, forgotten=[FIRST, SECOND])
    assert store.history() == [third, SECOND, FIRST]
    assert [state for _, state in store.changes_after("0", 1)] == [third]
    assert store.read() == third


def test_the_audit_is_read_back_to_what_was_served_and_whole_where_it_is_not_there(
    store: RolloutStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert store.known_since(None) == store.known_since(FIRST) == (None, [])
    monkeypatch.setattr("serving_gateway.control.store._PAGE", 2)
    states = [FIRST]
    store.write(FIRST, None)
    for _ in range(6):
        states.append(store.change(lambda s: rolled_back(s, actor="t", reason="", now=NOW)))
        store._redis.xadd(keys.AUDIT, {"state": b"{"})  # passed over
    stands, known = store.known_since(states[4])
    assert stands == states[-1]
    assert known == states[4:] or known == states[3:]
    assert store.known_since(SECOND)[1] == store.known_since(FIRST)[1] == states


def test_a_gateway_has_a_moment_to_bring_a_lost_state_back(store: RolloutStore, redis_url: str) -> None:
    assert store.read_restored(within_s=0.05) is None
    with ThreadPoolExecutor(1) as pool:
        found = pool.submit(store.read_restored, within_s=10)
        RolloutStore.connect(redis_url).write(FIRST, None)
        assert found.result() == FIRST
