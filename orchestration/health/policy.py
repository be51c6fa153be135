"""The numbers that the verdict on a model's health rests on: one file, read and checked here."""

from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta, Struct

SHIPPED = Path(__file__).with_name("policy.toml")
_Count = Annotated[int, Meta(ge=1)]
_Share = Annotated[float, Meta(ge=0, le=1)]
_Amount = Annotated[float, Meta(ge=0)]


class HealthPolicyError(Exception):
    """The policy cannot be used; the message names the file and the field."""


class WindowPolicy(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which windows are judged: `days` long, `fewest_rows` labelled rows, `fewest_labels` of their predictions labelled."""

    days: _Count
    fewest_rows: _Count
    fewest_labels: _Share
    longest_wait_hours: _Amount

    @property
    def longest_wait(self) -> timedelta:
        """How long after a prediction's event time its label is missed."""
        return timedelta(hours=self.longest_wait_hours)


class PastPolicy(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which past windows thresholds are fitted to: the last `most_windows` with `fewest_training_days` before them."""

    fewest_training_days: _Count
    most_windows: _Count


class ThresholdPolicy(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How thresholds follow from past windows: see policy.toml."""

    quantile: _Share
    least_surprise: _Amount
    least_bias: _Amount
    noise: _Amount
    fewest_windows: _Count


class RetrainingPolicy(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """When bad windows ask for a new model, and how often at most."""

    bad_windows: _Count
    every_days: _Amount

    @property
    def every(self) -> timedelta:
        """Event time between two requests."""
        return timedelta(days=self.every_days)


class HealthPolicy(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Everything about health that is decided by numbers."""

    windows: WindowPolicy
    past: PastPolicy
    thresholds: ThresholdPolicy
    retraining: RetrainingPolicy


def read_health_policy(path: Path) -> HealthPolicy:
    """The policy in the TOML file `path`. Raises HealthPolicyError naming the file and the path of the bad field."""
    try:
        return msgspec.toml.decode(path.read_bytes(), type=HealthPolicy)
    except (OSError, msgspec.MsgspecError) as error:
        raise HealthPolicyError(f"health policy in {path} (HEALTH_POLICY_PATH): {error}") from error


@cache
def shipped_health_policy() -> HealthPolicy:
    """The policy that comes with the platform."""
    return read_health_policy(SHIPPED)
