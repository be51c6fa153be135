"""The rollout state: which model answers, which is tried on a share of the traffic, and since when."""

from typing import Literal

import msgspec
from msgspec import Struct

# Grows where a reader of the version before would take a document for something that it is not, or could not read it. New
# fields with defaults are no reason.
SCHEMA = 1

Phase = Literal["stable", "shadow", "canary", "promoted", "rolled_back"]

BASIS_POINTS = 10_000


def basis_points(share: float) -> int:
    """A share of the routing keys, 0 to 1, in basis points. Raises ValueError saying what a share is."""
    # the comparison is False for NaN too
    if not (0 <= share <= 1 and abs(share * BASIS_POINTS - round(share * BASIS_POINTS)) < 1e-6):
        raise ValueError(f"must be 0 to 1 in steps of {1 / BASIS_POINTS:g}, got {share:g}")
    return round(share * BASIS_POINTS)


class Arm(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One model version that can score requests.

    `triton_model` is the name Triton serves it under (one Triton model per registered version);
    `contract_digest` names the ModelContract that says how its input vector is made.
    """

    model: str
    version: str
    triton_model: str
    contract_digest: str


class Arms(Struct, frozen=True, kw_only=True):
    """`baseline` answers by default, `canary` answers its share, `shadow` scores in the background.

    A model on trial in the phase `shadow` is named as `canary` too: its share is 0. In the phase `promoted` the canary
    answers everything and the old model is still the baseline: it scores beside it, and a rollback is a change of weight.
    """

    baseline: Arm
    canary: Arm | None = None
    shadow: Arm | None = None


class TrialMark(Struct, frozen=True, kw_only=True):
    """The trial under way, or the one that this state ended: where it began, and how far it came.

    (`epoch`, `generation`) is the position of the state that put the model on trial; it stays the same while the share
    changes, so that all evidence of a trial is pooled under one error rate. `step` counts the policy's steps from 0 and is
    None where people lead the trial by hand. `began` and `entered` are the event times at which the trial began and came to
    this step, ISO 8601 in UTC. `held` says who holds it there and why, `approved` who let it leave this step; both are
    empty otherwise. `evidence` names the document on which this change rests; it is empty where people decided.
    """

    epoch: int
    generation: int
    step: int | None = None
    began: str = ""
    entered: str = ""
    held: str = ""
    approved: str = ""
    evidence: str = ""


class RolloutState(Struct, frozen=True, kw_only=True):
    """One atomic document; changed only by compare-and-set on (epoch, generation).

    `canary_weight_bp` is in basis points (0 to 10,000) of routing keys; `shadow_fraction` in [0, 1] of requests;
    `time` is the wall clock of the change, ISO 8601 in UTC. `generation` grows by one with every change of an epoch.
    `restores` is set where a gateway wrote what the store had forgotten: the position of the state that it brought back.
    `schema` is the version of this contract that the writer knew.
    """

    epoch: int
    generation: int
    phase: Phase
    arms: Arms
    canary_weight_bp: int = 0
    shadow_fraction: float = 0.0
    salt: str = "drift"
    reason: str = ""
    actor: str = ""
    time: str = ""
    restores: tuple[int, int] | None = None
    trial: TrialMark | None = None
    schema: int = SCHEMA

    def __post_init__(self) -> None:
        if not 0 <= self.canary_weight_bp <= BASIS_POINTS:
            raise ValueError(f"canary_weight_bp must be 0 to {BASIS_POINTS}, got {self.canary_weight_bp}")
        if not 0.0 <= self.shadow_fraction <= 1.0:
            raise ValueError(f"shadow_fraction must be 0 to 1, got {self.shadow_fraction}")
        if self.canary_weight_bp and self.arms.canary is None:
            raise ValueError("canary_weight_bp is above 0 but no canary arm is named")

    @property
    def position(self) -> tuple[int, int]:
        """(epoch, generation): the order in which states follow one another."""
        return (self.epoch, self.generation)


def decode_state(document: bytes | str) -> RolloutState:
    """The state in a JSON document.

    Raises msgspec.ValidationError (or what else serving_gateway.documents.UNREADABLE names) with the path of the offending
    field: for one of a newer schema, `$.schema`, whatever else has changed in it.
    """
    schema = msgspec.json.decode(document, type=_Schema).schema
    if schema > SCHEMA:
        raise msgspec.ValidationError(
            f"a newer platform wrote it, by schema {schema}, and this one reads up to {SCHEMA}: upgrade this one - at `$.schema`"
        )
    return msgspec.json.decode(document, type=RolloutState)


class _Schema(Struct):
    schema: int = SCHEMA
