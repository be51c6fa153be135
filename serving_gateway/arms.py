"""An arm with everything loaded that scoring by it needs."""

import asyncio
from collections.abc import Sequence

from serving_gateway.contracts.model import ModelContract
from serving_gateway.contracts.prediction import ArmName
from serving_gateway.contracts.rollout import Arm
from serving_gateway.triton.client import TritonClient
from serving_gateway.triton.messages import InferMessages


class LoadedArm:
    """One arm of the state that is served: its name there, its model, its contract."""

    def __init__(self, name: ArmName, arm: Arm, contract: ModelContract, triton: TritonClient) -> None:
        self.name = name
        self.arm = arm
        self.contract = contract
        self._triton = triton
        self._messages = InferMessages(
            host=triton.address,
            model=arm.triton_model,
            input_tensor=contract.input_tensor,
            output_tensor=contract.output_tensor,
            width=len(contract.inputs),
        )

    async def score(self, rows: Sequence[bytes], deadline: float) -> list[float]:
        """Probability of each row (packed float32 vectors), in one batch, before `deadline` (event loop time).

        Raises ScoreError for the batch as a whole.
        """
        reply = await self._triton.exchange(self._messages.request(rows), deadline)
        return self._messages.scores(reply, len(rows))

    async def is_ready(self, *, timeout_s: float = 1.0) -> bool:
        """Whether Triton has the model loaded."""
        return await self._triton.is_ready(self.arm.triton_model, asyncio.get_running_loop().time() + timeout_s)
