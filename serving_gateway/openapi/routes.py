"""The gateway's own routes, described by (path, method)."""

from collections.abc import Mapping
from typing import Any

from serving_gateway.contracts.model import ModelContract
from serving_gateway.control.changes import Change, Rollback, Word
from serving_gateway.feedback import Report
from serving_gateway.metrics import CONTENT_TYPE
from serving_gateway.openapi import example, shapes
from serving_gateway.openapi.operation import JSON, Operation, Parameter
from serving_gateway.page.status import StatusDocument
from serving_gateway.rollout_routes import LONGEST_HISTORY, LONGEST_WAIT_S
from serving_gateway.routing import ARM_HEADER, ROUTING_HEADER
from serving_gateway.scoring.predict import Answer

ROUTING = (
    Parameter(
        name=ROUTING_HEADER,
        where="header",
        about="the split's key, in place of the entities or the request's id: the same key goes to the same arm",
        schema={"type": "string"},
    ),
    Parameter(
        name=ARM_HEADER,
        where="header",
        about="the arm that answers, past the split; such rows are no evidence",
        schema={"enum": ["baseline", "canary"]},
    ),
)
_WAIT = Parameter(
    name="wait",
    where="query",
    about="seconds to wait until every live gateway serves the change",
    schema={"type": "integer", "minimum": 0, "maximum": LONGEST_WAIT_S, "default": 0},
)
_COUNT = Parameter(
    name="count",
    where="query",
    about="how many changes",
    schema={"type": "integer", "minimum": 1, "maximum": LONGEST_HISTORY, "default": 20},
)
_ID = "018f3c5e-7a10-7000-8000-0123456789ab"
_TRY, _BACK = "a tenth of the keys, to begin with", "looks wrong"
_NOTHING = {503: "nothing is served"}
_STORE = {503: "the rollout store does not answer: nothing was changed, or look before you repeat"}
_MISFIT = {
    400: "what is wrong with it",
    409: "it does not fit the state that stands, which is answered beside the error",
}


def operations(contract: ModelContract, *, max_rows: int) -> Mapping[tuple[str, str], Operation]:
    """All of them; examples are of `contract`."""
    return {**_for_callers(contract, max_rows), **_for_operators(), **_rollout(contract)}


def _for_callers(contract: ModelContract, max_rows: int) -> dict[tuple[str, str], Operation]:
    return {
        ("/predict", "POST"): Operation(
            summary="Score one row or many",
            about="Send an instance: the entities and request fields that the served model asks for, by name; or `features`, "
            "all of its inputs by name, with `entities` beside them where they are known. Or send `instances`, a list of them. "
            "`request_id` names the request, `event_time` its time in replay. All rows are answered or none, within "
            "`GATEWAY_DEADLINE_MS`; each is in the prediction log before the answer leaves.",
            takes=_predict_schema(max_rows),
            example={"instances": [example.by_entities(contract), example.by_features(contract)]},
            gives={JSON: Answer},
            answer={"request_id": _ID, "predictions": [_row(contract), _row(contract)], "generation": 1, "epoch": 1},
            access="key",
            parameters=ROUTING,
            errors={
                400: "a row is wrong; `path` says which and where",
                409: "the arm asked for gets no traffic",
                503: "nothing is served, features cannot be read, the arm's queue is full, or Triton is away",
                504: "the deadline passed",
            },
        ),
        ("/feedback", "POST"): Operation(
            summary="Report what became of predictions",
            about="Send a [Report](#report), or `feedback`, a list of them. Late, twice and corrected, the one observed last holds. Rows are taken all "
            "or none. Ids of other gateways are taken too.",
            takes={"anyOf": [Report, {"type": "object", "properties": {"feedback": {"type": "array", "items": Report,
                   "minItems": 1, "maxItems": max_rows}}, "required": ["feedback"], "additionalProperties": False}]},
            example={"feedback": [{"prediction_id": _ID, "outcome": True, "observed_at": "2024-06-01T12:00:00Z"}]},
            gives={JSON: shapes.Received},
            answer={"received": 1},
            access="key",
            errors={400: "a report is wrong; `path` says which and where", 503: "the log takes nothing now"},
        ),
    }  # fmt: skip


def _for_operators() -> dict[tuple[str, str], Operation]:
    return {
        ("/", "GET"): Operation(summary="The page that shows the rollout", gives={"text/html; charset=utf-8": str}),
        ("/status", "GET"): Operation(
            summary="What the page shows, as one document", about="200 whatever is the matter.", gives={JSON: StatusDocument}
        ),
        ("/health", "GET"): Operation(summary="Whether the process is alive", gives={JSON: shapes.Health}),
        ("/ready", "GET"): Operation(
            summary="Whether a prediction could be answered now",
            gives={JSON: shapes.Ready},
            answer={"status": "ready", "epoch": 1, "generation": 1},
            errors={503: "nothing is served, or Triton does not have the baseline ready"},
        ),
        ("/metrics", "GET"): Operation(summary="Metrics of all workers, for Prometheus", gives={CONTENT_TYPE: str}),
        ("/openapi.json", "GET"): Operation(summary="This description, as OpenAPI 3.1", gives={JSON: Any}),
    }  # fmt: skip


def _rollout(contract: ModelContract) -> dict[tuple[str, str], Operation]:
    tried = example.tried(contract, weight_bp=1000, reason=_TRY)
    return {
        ("/rollout", "GET"): Operation(
            summary="What is served here, and by which gateways", gives={JSON: shapes.RolloutServed}, errors=_NOTHING
        ),
        ("/rollout", "PUT"): Operation(
            summary="Change what is served",
            about="Of the state at `epoch` and `generation`; what is left out stays as it is.",
            takes=Change,
            example={"epoch": 1, "generation": 1, "reason": _TRY, "arms": tried.arms, "canary_weight_bp": 1000},
            gives={JSON: shapes.Changed},
            answer={"changed": True, "state": tried},
            access="admin",
            parameters=(_WAIT,),
            errors=_MISFIT | _STORE,
            conflict=shapes.Conflict,
        ),
        ("/rollout/rollback", "POST"): Operation(
            summary="Take the canary's traffic away",
            about="Where there is none, nothing changes and `changed` is false.",
            takes=Rollback,
            example={"reason": _BACK},
            gives={JSON: shapes.Changed},
            answer={"changed": True, "state": example.taken_back(tried, reason=_BACK)},
            access="admin",
            parameters=(_WAIT,),
            errors=_MISFIT | _STORE,
            conflict=shapes.Conflict,
        ),
        ("/rollout/hold", "POST"): _ruling(
            "Keep the trial at its step", "Until it is released; a failed verdict still ends it."
        ),
        ("/rollout/release", "POST"): _ruling("Let a trial that is held go on"),
        ("/rollout/approve", "POST"): _ruling(
            "Let the trial leave this step", "Once the rest of what the policy's step asks for is there."
        ),
        ("/rollout/history", "GET"): Operation(
            summary="Who changed what, when and why",
            gives={JSON: shapes.History},
            parameters=(_COUNT,),
            errors={400: "count is no number of its range", 503: "the rollout store does not answer"},
        ),
    }


def _ruling(summary: str, about: str = "") -> Operation:
    """Without an example: no steps lead a trial that began over HTTP."""
    return Operation(
        summary=summary,
        about=f"{about} Said already, it changes nothing and `changed` is false.".lstrip(),
        takes=Word,
        gives={JSON: shapes.Changed},
        access="admin",
        parameters=(_WAIT,),
        errors=_MISFIT | _STORE,
        conflict=shapes.Conflict,
    )


def _row(contract: ModelContract) -> dict[str, Any]:
    return {
        "prediction_id": _ID,
        "score": 0.25,
        "decision": contract.decision_threshold <= 0.25,
        "arm": "baseline",
        "model": contract.model,
        "version": contract.version,
    }


def _predict_schema(max_rows: int) -> dict[str, Any]:
    """Generic: which fields there are the served model's contract says."""
    time = {"type": "string", "format": "date-time", "description": "only in replay; else the event clock's now"}
    value = {"anyOf": [{"type": "string", "maxLength": 256}, {"type": "number"}, {"type": "null"}]}
    instance = {
        "type": "object",
        "description": "entities and request fields by name; or `features`, all of them, and the entities under `entities`",
        "properties": {
            "features": {"type": "object", "additionalProperties": value},
            "entities": {"type": "object", "additionalProperties": {"type": "string", "maxLength": 256}},
            "event_time": time,
        },
        "additionalProperties": value,
    }
    request_id = {"type": "string", "minLength": 1, "maxLength": 128}
    one = instance | {"properties": {**instance["properties"], "request_id": request_id}}  # type: ignore[dict-item]
    rows = {"type": "array", "items": instance, "minItems": 1, "maxItems": max_rows}
    many = {
        "type": "object",
        "properties": {"instances": rows, "request_id": request_id, "event_time": time},
        "required": ["instances"],
        "additionalProperties": False,
    }
    return {"anyOf": [one, many]}
