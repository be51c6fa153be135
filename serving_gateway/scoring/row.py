"""One row on its way through the gateway."""

from array import array
from typing import TYPE_CHECKING

from msgspec import Struct

from serving_gateway.arms import LoadedArm
from serving_gateway.contracts.prediction import ArmName, Outcome, PredictionRecord, Routing, ViewAge

if TYPE_CHECKING:
    from serving_gateway.scoring.call import Call


class ScoringRow(Struct):
    """Filled step by step: what was asked, the vector, who is asked, then who answered and what.

    `place` is the arm that the split gives the row. `asked` is the arm whose score it waits for; what comes from another
    arm, or after the row was given up, is not for it.
    """

    call: "Call"
    prediction_id: str
    entities: dict[str, str]
    event_time_us: int
    place: ArmName
    vector: "array[float]"
    packed: bytes
    views: list[ViewAge] = []
    routing: Routing = "split"
    asked: LoadedArm | None = None
    arm: LoadedArm | None = None
    score: float = 0.0
    latency_us: int = 0
    fallback_from: ArmName | None = None
    fallback_outcome: Outcome | None = None
    charged: bool = True
    queued: bool = False
    degraded: bool = False

    def record(self, served_at_us: int) -> PredictionRecord:
        """The row's entry in the prediction log."""
        call, answered_by = self.call, self.answered_by
        state = call.served.state
        arm = answered_by.arm
        return PredictionRecord(
            prediction_id=self.prediction_id,
            request_id=call.request_id,
            event_time_us=self.event_time_us,
            served_at_us=served_at_us,
            arm=answered_by.name,
            model=arm.model,
            model_version=arm.version,
            triton_model=arm.triton_model,
            contract_digest=arm.contract_digest,
            epoch=state.epoch,
            generation=state.generation,
            entities=self.entities,
            vector=self.vector.tolist(),
            views=self.views,
            score=self.score,
            decision=self.decision,
            latency_us=self.latency_us,
            fallback_from=self.fallback_from,
            fallback_outcome=self.fallback_outcome,
            charged=self.charged,
            queued=self.queued,
            routing=self.routing,
            degraded=self.degraded,
        )

    @property
    def decision(self) -> bool:
        """Whether the score reaches the answering model's threshold."""
        return self.score >= self.answered_by.contract.decision_threshold

    @property
    def answered_by(self) -> LoadedArm:
        """The arm whose score this is. Raises ValueError before there is one."""
        if self.arm is None:
            raise ValueError(f"row {self.prediction_id} has not been scored")
        return self.arm
