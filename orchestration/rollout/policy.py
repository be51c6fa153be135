"""The numbers that rollout decisions rest on: one file, read and checked here."""

from functools import cache
from math import isclose
from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Struct

from orchestration.rollout.betting import RATIOS
from serving_gateway.contracts.rollout import basis_points

SHIPPED = Path(__file__).with_name("policy.toml")
CriterionName = Literal["errors", "invalid_outputs", "score_shift", "latency", "loss"]
_Chance = Annotated[float, Meta(gt=0, lt=1)]
_Share = Annotated[float, Meta(ge=0, le=1)]
_Count = Annotated[int, Meta(ge=0)]
_Hours = Annotated[float, Meta(ge=0)]


class PolicyError(Exception):
    """The policy cannot be used; the message names the file and the field."""


class Criterion(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One test: its `share` of alpha, the difference that is no guilt, and the one that a pass rules out."""

    share: _Chance
    tolerance: _Share
    delta: _Chance

    def __post_init__(self) -> None:
        if self.delta <= self.tolerance:
            raise ValueError(f"`delta` {self.delta:g} must be above `tolerance` {self.tolerance:g}")


class Criteria(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A policy for each test."""

    errors: Criterion
    invalid_outputs: Criterion
    score_shift: Criterion
    latency: Criterion
    loss: Criterion


class EvidencePolicy(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`alpha` and `alpha_pass` bound the share of innocent models ever stopped, and of bad ones that ever pass a test.

    `alpha_trouble` bounds the share stopped by errors, or by invalid outputs, of models that fail no more than their baseline,
    where both fail more than is tolerated. They hold for one trial, however often it is judged. Trying a model again is a new trial with its own error rates.
    """

    alpha: _Chance
    alpha_pass: _Chance
    alpha_trouble: _Chance
    reflex: _Chance
    tests: Criteria

    def __post_init__(self) -> None:
        total = self.reflex + sum(getattr(self.tests, name).share for name in Criteria.__struct_fields__)
        if not isclose(total, 1.0, abs_tol=1e-9):
            raise ValueError(f"`reflex` and the shares of the tests must sum to 1, not {total:g}")
        for test in (self.tests.errors, self.tests.invalid_outputs):
            if not 0 < test.tolerance < 1 / max(RATIOS):
                raise ValueError(
                    f"`tolerance` of failures must be above 0 and below 1 / {max(RATIOS):g}: {test.tolerance:g}"
                )

    def test(self, name: CriterionName) -> Criterion:
        """The policy of one test."""
        policy: Criterion = getattr(self.tests, name)
        return policy

    def alpha_of(self, name: CriterionName) -> float:
        """The chance that this one test ever stops an innocent model."""
        return self.alpha * self.test(name).share


class Step(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A share of the traffic, and what has to be there before the trial goes on from it."""

    weight: _Share
    shadow_fraction: _Share
    hold_hours: _Hours
    rows: _Count
    labels: _Count
    needs: list[CriterionName]
    approval: bool

    def __post_init__(self) -> None:
        basis_points(self.weight)
        if not self.weight and not self.shadow_fraction:
            raise ValueError("`weight` and `shadow_fraction` are both 0: the model would have nothing to do")


class RolloutPolicy(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The steps of a trial, and whether trials begin by themselves."""

    automatic: bool
    longest_hours: Annotated[float, Meta(gt=0)]
    steps: Annotated[list[Step], Meta(min_length=1)]

    def __post_init__(self) -> None:
        weights = [step.weight for step in self.steps]
        if weights != sorted(weights):
            raise ValueError(f"the weights of the steps must not fall: {weights}")
        if weights[-1] != 1.0:
            raise ValueError("the last step must have weight 1: promoted under watch")


class Policy(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Everything that is decided by numbers: see policy.toml."""

    evidence: EvidencePolicy
    rollout: RolloutPolicy


def read_policy(path: Path) -> Policy:
    """The policy in the TOML file `path`. Raises PolicyError naming the file and the path of the bad field."""
    try:
        return msgspec.toml.decode(path.read_bytes(), type=Policy)
    except (OSError, msgspec.MsgspecError) as error:
        raise PolicyError(f"rollout policy in {path} (ROLLOUT_POLICY_PATH): {error}") from error


@cache
def shipped_policy() -> Policy:
    """The policy that comes with the platform."""
    return read_policy(SHIPPED)
