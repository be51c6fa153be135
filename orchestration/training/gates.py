"""Which metrics a model must reach before an alias may point at it: thresholds from one file, judged in one function."""

import math
from dataclasses import dataclass
from pathlib import Path

import msgspec
from msgspec import Struct

from orchestration.training.evaluation import Metrics


class GatesError(Exception):
    """The file of thresholds cannot be used; the message names it and the field."""


class Bound(Struct, frozen=True, forbid_unknown_fields=True):
    """Smallest and largest value that passes, both inclusive."""

    min: float | None = None
    max: float | None = None

    def __post_init__(self) -> None:
        if self.min is None and self.max is None:
            raise ValueError("needs `min`, `max` or both")
        if any(bound is not None and math.isnan(bound) for bound in (self.min, self.max)):
            raise ValueError("`min` and `max` must be numbers")
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError(f"`min` {self.min} is above `max` {self.max}")

    def holds(self, value: float) -> bool:
        """Whether `value` lies within; NaN lies nowhere."""
        # without an infinity for the missing end, NaN would lie within no end at all
        low, high = -math.inf if self.min is None else self.min, math.inf if self.max is None else self.max
        return low <= value <= high

    def __str__(self) -> str:
        if self.min is not None and self.max is not None:
            return f"{self.min:g} to {self.max:g}"
        return f"at least {self.min:g}" if self.min is not None else f"at most {self.max:g}"


class Gates(Struct, frozen=True, forbid_unknown_fields=True):
    """A bound for each of `Metrics`; none may be left out, so that no gate is lost to a slip of the pen."""

    rows: Bound
    auc: Bound
    log_loss: Bound
    brier: Bound
    brier_skill: Bound
    calibration_bias: Bound
    calibration_error: Bound


@dataclass(frozen=True)
class Judged:
    """One metric against its bound."""

    metric: str
    value: float
    bound: Bound
    ok: bool

    def __str__(self) -> str:
        return f"{self.metric} {self.value:.4g} ({self.bound})"


@dataclass(frozen=True)
class GateResult:
    """Every metric as judged, in the order of `Metrics`."""

    judged: tuple[Judged, ...]

    @property
    def failures(self) -> tuple[Judged, ...]:
        """What did not reach its bound."""
        return tuple(one for one in self.judged if not one.ok)

    @property
    def passed(self) -> bool:
        """Whether every metric reached its bound; False of nothing at all."""
        return bool(self.judged) and not self.failures

    @property
    def reason(self) -> str:
        """In one line: what failed, or that nothing did."""
        return "; ".join(map(str, self.failures)) or "every metric is within its bound"


def read_gates(path: Path) -> Gates:
    """The thresholds in the TOML file `path`. Raises GatesError naming the file and the path of the bad field."""
    try:
        return msgspec.toml.decode(path.read_bytes(), type=Gates)
    except (OSError, msgspec.MsgspecError) as error:
        raise GatesError(f"metric gates in {path} (METRIC_GATES_PATH): {error}") from error


def judge_metrics(metrics: Metrics, gates: Gates) -> GateResult:
    """Every metric against its bound."""
    bounds = {name: getattr(gates, name) for name in Gates.__struct_fields__}
    values = {name: float(getattr(metrics, name)) for name in bounds}
    return GateResult(
        tuple(Judged(name, values[name], bound, bound.holds(values[name])) for name, bound in bounds.items())
    )
