"""One row on its way through the gateway."""

from array import array
from dataclasses import dataclass, field

from serving_gateway.arms import LoadedArm
from serving_gateway.contracts.prediction import ArmName, PredictionRecord, Routing, ViewAge
from serving_gateway.rollout.served import Served


@dataclass(slots=True)
class ScoringRow:
    """Filled step by step: what was asked, the vector, then who answered and what."""

    prediction_id: str
    entities: dict[str, str]
    event_time_us: int
    to_canary: bool
    vector: "array[float]"
    packed: bytes
    views: list[ViewAge] = field(default_factory=list)
    routing: Routing = "split"
    arm: LoadedArm | None = None
    score: float = 0.0
    latency_us: int = 0
    fallback_from: ArmName | None = None

    def answer(self) -> dict[str, object]:
        """The row's part of the response."""
        arm = self._arm
        answer: dict[str, object] = {
            "prediction_id": self.prediction_id,
            "score": self.score,
            "decision": self.decision,
            "arm": arm.name,
            "model": arm.arm.model,
            "version": arm.arm.version,
        }
        if self.fallback_from is not None:
            answer["fallback_from"] = self.fallback_from
        return answer

    def record(self, request_id: str, served: Served, served_at_us: int) -> PredictionRecord:
        """The row's entry in the prediction log."""
        arm = self._arm
        return PredictionRecord(
            prediction_id=self.prediction_id,
            request_id=request_id,
            event_time_us=self.event_time_us,
            served_at_us=served_at_us,
            arm=arm.name,
            model=arm.arm.model,
            model_version=arm.arm.version,
            triton_model=arm.arm.triton_model,
            contract_digest=arm.arm.contract_digest,
            epoch=served.state.epoch,
            generation=served.state.generation,
            entities=self.entities,
            vector=self.vector.tolist(),
            views=self.views,
            score=self.score,
            decision=self.decision,
            latency_us=self.latency_us,
            fallback_from=self.fallback_from,
            routing=self.routing,
        )

    @property
    def decision(self) -> bool:
        """Whether the score reaches the answering model's threshold."""
        return self.score >= self._arm.contract.decision_threshold

    @property
    def _arm(self) -> LoadedArm:
        if self.arm is None:
            raise ValueError(f"row {self.prediction_id} has not been scored")
        return self.arm
