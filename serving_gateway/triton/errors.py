"""What can go wrong when an arm is asked to score."""

from serving_gateway.contracts.prediction import Outcome


class ScoreError(Exception):
    """A batch was not scored. `outcome` says how it is charged: error, timeout or invalid; `answered`, that Triton said so."""

    def __init__(self, outcome: Outcome, message: str, *, answered: bool = False) -> None:
        super().__init__(message)
        self.outcome = outcome
        self.answered = answered
