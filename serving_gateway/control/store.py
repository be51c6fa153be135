"""The rollout store on Redis: read, compare-and-set with audit in one transaction, acknowledgements of gateways."""

import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import TypeVar

import msgspec
import redis
from msgspec import Struct

from serving_gateway.contracts.model import ModelContract
from serving_gateway.contracts.rollout import RolloutState, decode_state
from serving_gateway.control import keys
from serving_gateway.documents import UNREADABLE

_Document = TypeVar("_Document")

_PAGE = 500

# KEYS: rollout, audit, changed. ARGV: expected "epoch:generation" ("" for none yet), the new document, and documents
# that the audit has forgotten, which are told again before it.
_COMPARE_AND_SET = """
local current = redis.call('GET', KEYS[1])
local position = ''
if current then
  local state = cjson.decode(current)
  position = string.format('%d:%d', state.epoch, state.generation)
end
if position ~= ARGV[1] then return current or '' end
redis.call('SET', KEYS[1], ARGV[2])
for at = 3, #ARGV do redis.call('XADD', KEYS[2], '*', 'state', ARGV[at], 'retold', '1') end
redis.call('XADD', KEYS[2], '*', 'state', ARGV[2])
redis.call('PUBLISH', KEYS[3], ARGV[2])
return false
"""


class StaleGenerationError(Exception):
    """Someone else changed the rollout first. `current` is the state that stands now."""

    def __init__(self, current: RolloutState | None) -> None:
        self.current = current
        at = "no state yet" if current is None else f"epoch {current.epoch}, generation {current.generation}"
        super().__init__(f"the rollout changed meanwhile: {at}")


class NoRolloutError(Exception):
    """Nothing is served yet: no rollout state has been written."""


class UnreadableDocumentError(Exception):
    """The store holds something else where a document of the rollout belongs; the message names the key."""


class Acknowledgement(Struct, frozen=True):
    """What a gateway process says it serves. `seen_at` is Redis's clock in UNIX seconds."""

    gateway: str
    epoch: int
    generation: int
    canary_weight_bp: int
    seen_at: float

    @property
    def position(self) -> tuple[int, int]:
        """(epoch, generation) that the gateway serves."""
        return (self.epoch, self.generation)


_decode_acknowledgement = msgspec.json.Decoder(Acknowledgement).decode


class RolloutStore:
    """Synchronous client of the store, for the command line, orchestration and tests."""

    def __init__(self, client: "redis.Redis") -> None:
        self._redis = client
        self._compare_and_set = client.register_script(_COMPARE_AND_SET)

    @classmethod
    def connect(cls, url: str, timeout_s: float = 2.0) -> "RolloutStore":
        """Connect lazily to `url` (redis://host:port/db)."""
        return cls(redis.Redis.from_url(url, socket_timeout=timeout_s, socket_connect_timeout=timeout_s))

    def read(self) -> RolloutState | None:
        """The state that stands, or None before the first one. Raises UnreadableDocumentError."""
        return _state(self._redis.get(keys.ROLLOUT))

    def write(
        self, new: RolloutState, expected: RolloutState | None, *, forgotten: Sequence[RolloutState] = ()
    ) -> None:
        """Make `new` the state if `expected` still stands. Raises StaleGenerationError with the current state.

        `forgotten` are earlier changes, oldest first, that the audit has lost and is told again.
        """
        position = "" if expected is None else f"{expected.epoch}:{expected.generation}"
        current = self._compare_and_set(
            keys=[keys.ROLLOUT, keys.AUDIT, keys.CHANGED],
            args=[position, *(msgspec.json.encode(state) for state in (new, *forgotten))],
        )
        if current is not None:
            raise StaleGenerationError(_state(current))

    def change(self, transition: Callable[[RolloutState], RolloutState | None]) -> RolloutState:
        """Apply `transition` to whatever stands, retrying when another writer comes between.

        `transition` returns None where nothing has to change. Returns the state that stands afterwards.
        """
        while True:
            current = self.read()
            if current is None:
                raise NoRolloutError("nothing is served yet: publish a model first")
            new = transition(current)
            if new is None:
                return current
            try:
                self.write(new, current)
            except StaleGenerationError:
                continue
            return new

    def history(self, count: int = 100) -> list[RolloutState]:
        """The audit stream, newest first. Raises UnreadableDocumentError naming the entry that holds something else."""
        entries: list[tuple[bytes, dict[bytes, bytes]]] = self._redis.xrevrange(keys.AUDIT, count=count)  # type: ignore[assignment]
        return [_audited(*entry)[1] for entry in entries]

    def known_since(self, served: RolloutState | None) -> tuple[RolloutState | None, list[RolloutState]]:
        """The state that stands, and the audit back to `served`, oldest first: all of it where it does not hold `served`.

        Both are read at once, at least the newest 500 changes. Raises UnreadableDocumentError for the state; a change that
        cannot be read is passed over.
        """
        pipe = self._redis.pipeline(transaction=True)
        pipe.get(keys.ROLLOUT)
        pipe.xrevrange(keys.AUDIT, count=_PAGE)
        document, page = pipe.execute()
        found: list[RolloutState] = []
        while page:
            found += [s for _, s in (_change(*entry) for entry in page) if isinstance(s, RolloutState)]
            if served is None or served in found:
                break
            page = self._redis.xrevrange(keys.AUDIT, max=f"({page[-1][0].decode()}", count=_PAGE)
        return _state(document), found[::-1]

    def changes_after(self, entry: str, count: int) -> list[tuple[str, RolloutState | UnreadableDocumentError]]:
        """At most `count` changes of the audit stream after `entry` ("0": from the first), oldest first, with their ids.

        An entry that holds something else is the error that names it: it must not hide the changes after it. What a
        gateway told again of a lost audit is no change.
        """
        while True:
            found: list[tuple[bytes, dict[bytes, bytes]]] = self._redis.xrange(keys.AUDIT, min=f"({entry}", count=count)  # type: ignore[assignment]
            changes = [_change(*told) for told in found if b"retold" not in told[1]]
            if changes or not found:
                return changes
            entry = found[-1][0].decode()

    def put_contract(self, contract: ModelContract) -> str:
        """Store the contract under its digest; returns the digest."""
        self._redis.set(keys.contract(contract.digest), contract.to_json())
        return contract.digest

    def contract(self, digest: str) -> ModelContract | None:
        """The contract with this digest, or None."""
        document = self._redis.get(keys.contract(digest))
        return None if document is None else ModelContract.from_json(document)

    def baseline_contract(self) -> ModelContract:
        """The contract of the arm that answers by default. Raises NoRolloutError when nothing is served yet."""
        state = self.read()
        found = None if state is None else self.contract(state.arms.baseline.contract_digest)
        if found is None:
            raise NoRolloutError("nothing is served yet: materialize baseline_arm first")
        return found

    def acknowledgements(self) -> list[Acknowledgement]:
        """What every gateway process last said it serves, by gateway name."""
        return [acknowledgement for acknowledgement, _ in self.heard()]

    def heard(self) -> list[tuple[Acknowledgement, float]]:
        """Every gateway's last acknowledgement and its age in seconds, both by Redis's clock, by gateway name.

        A gateway that stops takes its acknowledgement back, so an old one is of a gateway that died or is cut off.
        Raises UnreadableDocumentError.
        """
        found: dict[bytes, bytes] = self._redis.hgetall(keys.ACKS)  # type: ignore[assignment]
        seconds, micros = self._redis.time()
        read = (_decode(document, _decode_acknowledgement, keys.ACKS) for document in found.values())
        return sorted(((a, seconds + micros / 1e6 - a.seen_at) for a in read), key=lambda heard: heard[0].gateway)

    def advance_clock(self, event_time: datetime) -> None:
        """Set the event clock that gateways of the replay profile follow."""
        self._redis.set(keys.CLOCK, int(event_time.timestamp() * 1e6))

    def event_time(self) -> datetime | None:
        """What the last replay set the event clock to; None where none ever did. It counts in the replay profile alone."""
        micros = self._redis.get(keys.CLOCK)
        return None if micros is None else datetime.fromtimestamp(int(micros) / 1e6, UTC)

    def read_restored(self, *, within_s: float = 1.0, poll_s: float = 0.02) -> RolloutState | None:
        """The state that stands; where there is none, a gateway has `within_s` seconds to bring it back."""
        deadline = time.monotonic() + within_s
        while (state := self.read()) is None and time.monotonic() < deadline:
            time.sleep(poll_s)
        return state

    def wait_until_served(
        self, state: RolloutState, *, timeout_s: float, alive_within_s: float = 3.0, poll_s: float = 0.01
    ) -> list[Acknowledgement]:
        """Wait until every live gateway serves `state` or a later one; returns their acknowledgements.

        A gateway counts as alive while its last acknowledgement is younger than `alive_within_s` seconds. The list is
        empty where no gateway is alive: nobody obeyed, and nobody disobeyed. `heard` names those that fell silent.
        Raises TimeoutError naming the gateways that lag.
        """
        deadline = time.monotonic() + timeout_s
        while True:
            alive = [a for a, age_s in self.heard() if age_s <= alive_within_s]
            stands = self.read()
            # One that is ahead of the store serves what the store has forgotten: it has not seen `state` yet.
            end = stands.position if stands is not None else (0, 0)
            lagging = [a.gateway for a in alive if not state.position <= a.position <= end]
            if not lagging and (not alive or state in self.known_since(state)[1]):
                return alive
            if time.monotonic() >= deadline:
                raise TimeoutError(
                    f"after {timeout_s:.0f} s these gateways still serve an older generation: {', '.join(lagging)}"
                )
            time.sleep(poll_s)


def _state(document: bytes | str | None) -> RolloutState | None:
    return _decode(document, decode_state, keys.ROLLOUT) if document else None


def _audited(entry: bytes, fields: dict[bytes, bytes]) -> tuple[str, RolloutState]:
    name = entry.decode()
    return name, _decode(fields.get(b"state", b""), decode_state, f"{keys.AUDIT} {name}")


def _change(entry: bytes, fields: dict[bytes, bytes]) -> tuple[str, RolloutState | UnreadableDocumentError]:
    try:
        return _audited(entry, fields)
    except UnreadableDocumentError as error:
        return entry.decode(), error


def _decode(document: bytes | str, decode: Callable[[bytes | str], _Document], key: str) -> _Document:
    try:
        return decode(document)
    except UNREADABLE as error:
        raise UnreadableDocumentError(f"{key} in Redis is unreadable: {error}") from error
