"""Arms that answer as a test says, and what is served with them: no server, no network."""

import asyncio
import time
from array import array
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

from serving_gateway.arms import LoadedArm
from serving_gateway.contracts.prediction import ArmName
from serving_gateway.metrics import Metrics
from serving_gateway.rollout.served import Served
from serving_gateway.rollout.tripwire import Tripwire
from serving_gateway.scoring.call import Call
from serving_gateway.scoring.row import ScoringRow
from serving_gateway.triton.client import TritonClient
from serving_gateway.triton.errors import ScoreError
from serving_gateway.vectors import packed
from tests.serving_gateway.support import CONTRACT, TWO, arm_of, state_of


class ScriptedArm(LoadedArm):
    """Answers `says` for every row; or fails with it; or, where it is None, hangs until the deadline."""

    def __init__(self, name: ArmName, says: float | Exception | None) -> None:
        contract = CONTRACT if name in ("baseline", "control") else TWO
        super().__init__(name, arm_of(contract), contract, TritonClient("127.0.0.1:1"), at_work := Counter())
        self.at_work: Counter[str] = at_work
        self.says = says
        self.batches: list[int] = []

    def ask(
        self,
        rows: Sequence[bytes],
        deadline: float,
        done: Callable[[list[float] | ScoreError], None],
        traceparent: str = "",
    ) -> None:
        self.batches.append(len(rows))
        loop = asyncio.get_running_loop()
        if self.says is None:
            loop.call_at(deadline, done, ScoreError("timeout", "too late"))
        elif isinstance(self.says, ScoreError):
            loop.call_soon(done, self.says)
        elif isinstance(self.says, Exception):
            raise self.says
        else:
            loop.call_soon(done, [self.says] * len(rows))


def failing() -> ScoreError:
    return ScoreError("error", "refused")


def served_by(
    baseline: ScriptedArm,
    *,
    canary: ScriptedArm | None = None,
    shadow: ScriptedArm | None = None,
    control: ScriptedArm | None = None,
    reverse: ScriptedArm | None = None,
    fraction: float = 1.0,
) -> Served:
    """A snapshot over these arms; what makes vectors is not used once rows are prepared."""
    unused: object = None
    state = state_of(
        CONTRACT,
        TWO if canary else None,
        shadow=TWO if shadow else None,
        weight_bp=5000 if canary else 0,
        shadow_fraction=fraction if shadow else 0.0,
    )
    return Served(
        state=state, baseline=baseline, canary=canary, shadow=shadow, control=control, reverse=reverse, refused={},
        parser=unused, vectors=unused, features=unused,  # type: ignore[arg-type]
    )  # fmt: skip


def call_of(
    served: Served,
    places: Sequence[ArmName],
    *,
    left_s: float = 1.0,
    first: int = 0,
    done: Callable[[Call], None] = lambda _call: None,
) -> Call:
    """A call whose rows are prepared: one for each place, numbered from `first`."""
    deadline = asyncio.get_running_loop().time() + left_s
    call = Call(served, f"request-{first}", len(places), started=time.perf_counter(), deadline=deadline, done=done)
    for number, place in enumerate(places, first):
        vector = array("f", [float(number)] * len(CONTRACT.inputs))
        call.rows.append(ScoringRow(call, f"prediction-{number}", {}, 0, place, vector, packed(vector)))
    return call


def value(metrics: Metrics, name: str) -> float:
    """Sum of a metric's samples."""
    lines = metrics.exposition().decode().splitlines()
    return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith(name))


class Charges(Tripwire):
    """A tripwire that only keeps what the canary was charged with."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder / "trip", enabled=False)
        self.failed: list[bool] = []

    def observe(self, triton_model: str, *, failed: bool) -> None:
        assert triton_model == arm_of(TWO).triton_model
        self.failed.append(failed)
