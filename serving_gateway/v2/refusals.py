"""What Triton's protocol has and this gateway does not offer, each with what to do instead."""

from serving_gateway.http import ApiError, Request, Response

REPOSITORY = (
    "models are not loaded or unloaded here: publishing loads a version (the Dagster assets champion_on_triton and "
    "challenger_on_triton), the rollout names it, and the job retire_models unloads what nothing names any more"
)
OPERATOR = "trace and log settings belong to whoever operates Triton: ask Triton itself, not the gateway"
NO_SHARED_MEMORY = "shared memory is not offered: send tensors in the body, as JSON or binary"


class Refusal:
    """A handler that answers 403 with `sentence`."""

    def __init__(self, sentence: str) -> None:
        self.sentence = sentence

    async def __call__(self, _request: Request, **_named: str) -> Response:
        """Raises ApiError 403."""
        raise ApiError(403, self.sentence)
