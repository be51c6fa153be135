"""What can go wrong when an arm is asked to score."""

from serving_gateway.contracts.prediction import Outcome


class ScoreError(Exception):
    """A batch was not scored. `outcome` says how it is charged: error, timeout or invalid."""

    def __init__(self, outcome: Outcome, message: str) -> None:
        super().__init__(message)
        self.outcome = outcome
