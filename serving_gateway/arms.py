"""An arm with everything loaded that scoring by it needs."""

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence

from serving_gateway.contracts.model import ModelContract
from serving_gateway.contracts.prediction import ArmName
from serving_gateway.contracts.rollout import Arm
from serving_gateway.triton.client import TritonClient
from serving_gateway.triton.errors import ScoreError
from serving_gateway.triton.messages import InferMessages, Reply


class LoadedArm:
    """One arm of the state that is served: its name there, its model, its contract.

    `at_work` counts the batches that a model has not answered yet, for all arms together.
    """

    def __init__(
        self, name: ArmName, arm: Arm, contract: ModelContract, triton: TritonClient, at_work: Counter[str]
    ) -> None:
        self.name = name
        self.arm = arm
        self.contract = contract
        self._triton = triton
        self._at_work = at_work
        self._messages = InferMessages(
            host=triton.address,
            model=arm.triton_model,
            input_tensor=contract.input_tensor,
            output_tensor=contract.output_tensor,
            width=len(contract.inputs),
        )

    def ask(
        self,
        rows: Sequence[bytes],
        deadline: float,
        done: Callable[[list[float] | ScoreError], None],
        traceparent: str = "",
    ) -> None:
        """Have `rows` (packed float32 vectors) scored in one batch before `deadline` (event loop time).

        `done` is called once, later, with the probability of each row, or with what became of the batch as a whole.
        `traceparent` (W3C Trace Context) names the span that Triton works for; empty where nobody records it.
        """
        model = self.arm.triton_model

        def answered(result: Reply | ScoreError) -> None:
            self._at_work[model] -= 1
            scores: list[float] | ScoreError
            try:
                scores = result if isinstance(result, ScoreError) else self._messages.scores(result, len(rows))
            except ScoreError as error:
                scores = error
            done(scores)

        self._triton.send(self._messages.request(rows, traceparent), deadline, answered)
        self._at_work[model] += 1

    @property
    def busy(self) -> bool:
        """Whether its model has work from here that is not done, this arm's or another's: what comes now may have to wait."""
        return self._at_work[self.arm.triton_model] > 0

    async def score(self, rows: Sequence[bytes], deadline: float) -> list[float]:
        """What `ask` finds. Raises ScoreError."""
        found: asyncio.Future[list[float] | ScoreError] = asyncio.get_running_loop().create_future()
        self.ask(rows, deadline, lambda result: None if found.done() else found.set_result(result))
        scores = await found
        if isinstance(scores, ScoreError):
            raise scores
        return scores

    async def is_ready(self, *, timeout_s: float = 1.0) -> bool:
        """Whether Triton has the model loaded."""
        return await self._triton.is_ready(self.arm.triton_model, asyncio.get_running_loop().time() + timeout_s)
