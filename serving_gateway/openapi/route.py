"""GET /openapi.json: the description, with examples of the model that is served now."""

from serving_gateway.http import Request, Respond, Response, json_response
from serving_gateway.openapi.document import described, document
from serving_gateway.rollout.follower import Follower


class Description:
    """The handler; it builds the document anew only when the served contract has changed."""

    def __init__(self, *, follower: Follower, max_rows: int) -> None:
        self._follower = follower
        self._max_rows = max_rows
        self._of: str | None = None
        self._response: Response | None = None

    def __call__(self, _request: Request, respond: Respond) -> None:
        """200, whether anything is served or not."""
        served = self._follower.served
        contract = served.baseline.contract if served else None
        of = contract.digest if contract else ""
        if self._response is None or of != self._of:
            self._of, self._response = of, json_response(document(described(contract, max_rows=self._max_rows)))
        respond(self._response)
