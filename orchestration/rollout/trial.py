"""What is judged: one model's trial, from the state that put it there to the state that ends it."""

from dataclasses import dataclass

from serving_gateway.contracts.rollout import RolloutState
from serving_gateway.control.transitions import on_trial


@dataclass(frozen=True)
class Trial:
    """A canary's or a shadow's Triton model, from the (epoch, generation) that put it on trial.

    A change of its share is the same trial: its evidence is pooled, and its error rate is spent once.
    """

    canary: str
    epoch: int
    generation: int

    @classmethod
    def of(cls, state: RolloutState | None) -> "Trial | None":
        """The trial under way, also of a canary that waits with a share of 0; None when there is none."""
        if state is None or state.arms.canary is None or not on_trial(state):
            return None
        began = (state.trial.epoch, state.trial.generation) if state.trial else state.position
        return cls(state.arms.canary.triton_model, *began)

    @property
    def since(self) -> tuple[int, int]:
        """Position of the state that began it."""
        return (self.epoch, self.generation)
