"""One measurement: a fresh target is checked, warmed up, loaded, and waited for until its background work is done."""

import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import redis
from numpy.typing import NDArray

from serving_gateway.control import keys
from tests.bench import asking, counts
from tests.bench.backends import Backends
from tests.bench.load import Seen, load
from tests.bench.rows import Row
from tests.bench.targets import TARGETS, Running, Target
from tests.bench.workload import Workload

WARM_UP_S = 1
CHECKED = 50  # requests whose scores are compared with ONNX Runtime's
TOLERANCE = 1e-5
SETTLED_S, SETTLE_S = 0.3, 30.0
IDLE_CPU = 0.1  # of a core: a target that uses less than this has nothing left to do


class NotComparableError(Exception):
    """The target does not do the work that it is measured for; the message says what it does instead."""


@dataclass(frozen=True)
class Prepared:
    """A target's requests in a file, and a few of them with the scores that they must be answered with."""

    file: Path
    asked: list[bytes]
    expected: NDArray[np.float32]


@dataclass(frozen=True)
class Bench:
    """What all measurements share; `folder` takes the state of targets while they run."""

    workload: Workload
    backends: Backends
    folder: Path
    prepared: Mapping[str, Prepared]
    seconds: int


@dataclass(frozen=True)
class Stand:
    """Counters at one moment. `answered` is 0 and `logged_until` empty for what is no gateway."""

    cpu_s: float
    scored: dict[str, int]
    answered: int
    logged_until: str


def prepare(workload: Workload, folder: Path, name: str) -> Prepared:
    """Write the requests of the target `name` into `folder`; those that will be checked are spread over all."""
    target = TARGETS[name]
    made = target.made(workload)
    at = np.linspace(0, len(made) - 1, CHECKED).astype(int)
    file = asking.write(folder / f"{name}.requests", made)
    return Prepared(file, [made[i] for i in at], target.expected(workload)[at])


def measure(bench: Bench, name: str, *, connections: int, repetition: int) -> Row:
    """Start the target, load it over `connections`, stop it. Raises NotComparableError, LoadError, RuntimeError."""
    target, prepared = TARGETS[name], bench.prepared[name]
    count = bench.workload.requests.height
    first = (repetition * 7919) % count  # other keys come first in other repetitions: the share is no single draw
    with (
        tempfile.TemporaryDirectory(dir=bench.folder, prefix=f"{name}-") as folder,
        redis.Redis.from_url(bench.backends.redis.url) as store,
        target.start(bench.backends, Path(folder), bench.workload) as running,
    ):
        check(name, prepared, running.port)
        load(running.port, prepared.file, connections=connections, seconds=WARM_UP_S, first=first)
        before = _settled(bench, target, running, store)
        seen = load(running.port, prepared.file, connections=connections, seconds=bench.seconds, first=first)
        after = _settled(bench, target, running, store)
        unlogged = _unlogged(target, before, after, store)
        store.delete(keys.PREDICTIONS)
    return row_of(bench.backends, (name, connections), seen, before=before, after=after, unlogged=unlogged)


def check(name: str, prepared: Prepared, port: int) -> None:
    """Ask what was prepared to be checked. Raises NotComparableError where a score is not ONNX Runtime's."""
    found = np.array(asking.scores(port, prepared.asked, TARGETS[name].read))
    worst = float(np.abs(found - prepared.expected).max())
    if not worst <= TOLERANCE:
        raise NotComparableError(f"{name}: scores differ from ONNX Runtime's by {worst:.1e}")


def _settled(bench: Bench, target: Target, running: Running, store: "redis.Redis") -> Stand:
    """The counters once nothing moves any more: shadow rows and the log come after the answers."""
    deadline = time.monotonic() + SETTLE_S
    last = _stand(bench, target, running, store)
    while True:
        time.sleep(SETTLED_S)
        now = _stand(bench, target, running, store)
        idle = now.cpu_s - last.cpu_s <= IDLE_CPU * SETTLED_S
        if idle and (now.scored, now.answered, now.logged_until) == (last.scored, last.answered, last.logged_until):
            return last
        if time.monotonic() > deadline:
            raise NotComparableError(f"the target is still busy {SETTLE_S:.0f} s after the load ended")
        last = now


def _stand(bench: Bench, target: Target, running: Running, store: "redis.Redis") -> Stand:
    gateway = target.kind == "gateway"
    return Stand(
        cpu_s=counts.tree_cpu_s(running.pid) if running.pid else 0.0,
        scored=dict(counts.rows_scored(bench.backends.triton.metrics)),
        answered=counts.rows_answered(f"127.0.0.1:{running.port}") if gateway else 0,
        logged_until=counts.last_logged(store) if gateway else "",
    )


def _unlogged(target: Target, before: Stand, after: Stand, store: "redis.Redis") -> int:
    """Answers of a gateway that its prediction log lacks."""
    if target.kind != "gateway":
        return 0
    return max(0, after.answered - before.answered - counts.rows_logged(store, before.logged_until))


def row_of(b: Backends, key: tuple[str, int], seen: Seen, *, before: Stand, after: Stand, unlogged: int) -> Row:
    """The figures between two stands. `key` is target and concurrency. Raises NotComparableError where nothing was done."""
    name, connections = key
    scored = {model: after.scored[model] - before.scored[model] for model in (b.baseline, b.canary, b.shadow)}
    kind = TARGETS[name].kind
    # A gateway may score a row more than once for its own purposes (reverse shadow): it counts its answers itself.
    answered = after.answered - before.answered if kind == "gateway" else scored[b.baseline] + scored[b.canary]
    if not (seen.requests and answered):
        raise NotComparableError(f"{name}: {seen.requests} requests were answered, Triton scored {answered} rows")
    return Row(
        target=name,
        concurrency=connections,
        requests_per_second=seen.requests / seen.seconds,
        p50_us=seen.p50_us,
        p99_us=seen.p99_us,
        cpu_us_per_request=(after.cpu_s - before.cpu_s) / seen.requests * 1e6,
        errors=seen.errors + unlogged,
        canary_share=scored[b.canary] / answered,
        shadow_share=scored[b.shadow] / answered,
    )
