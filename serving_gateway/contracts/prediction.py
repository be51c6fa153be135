"""The records of the prediction log: everything needed to judge one answered request later.

Evolution: new fields have defaults, types never change, fields are never removed. A reader that does not know a kind stops
at it, so of a new kind the readers learn first, then the gateways.
"""

from typing import Literal

from msgspec import Struct

ArmName = Literal["baseline", "canary", "shadow", "control"]
Outcome = Literal["ok", "error", "timeout", "invalid"]
Routing = Literal["split", "forced"]


class ViewAge(Struct, frozen=True, kw_only=True):
    """How a feature view was found: `age_s` is event time minus the view's timestamp, in seconds (None: not found).

    A negative age is a view that is newer than the event, present all the same: only a replay whose online store was not
    rewound with its clock can cause it.
    """

    view: str
    status: Literal["present", "expired", "missing"]
    age_s: float | None = None


class PairedScore(Struct, frozen=True, kw_only=True):
    """What another arm said of the same vector in the background. `score` is None unless `outcome` is `ok`.

    `charged`: as of a PredictionRecord, of the exchange that scored it in the background.
    """

    arm: ArmName
    model_version: str
    triton_model: str
    outcome: Outcome
    score: float | None = None
    latency_us: int = 0
    charged: bool = True


class PredictionRecord(Struct, frozen=True, kw_only=True, tag="prediction", tag_field="kind"):
    """One answered row.

    `event_time_us` is UTC microseconds since the epoch on the platform's event clock; `vector` is the model's input
    as float32 values in the ModelContract's order (NaN where missing); `score` is a probability in [0, 1]. `routing` is
    `forced` where the caller named the arm: such rows are chosen, not drawn, and are no evidence. `degraded`: the online
    store was away, so every stored feature counts as missing.
    `fallback_outcome` is how the arm of `fallback_from` failed. `charged`: whether the row speaks for its exchange. All rows of
    one exchange with a canary or a control fail or succeed together, after the same time, and all that meet one stall are
    late together; so one of them is charged, and the others are neither a failure nor a success.
    `queued`: the model had other work when this was asked, so its latency says little of the model.
    """

    prediction_id: str
    request_id: str
    event_time_us: int
    served_at_us: int
    arm: ArmName
    model: str
    model_version: str
    triton_model: str
    contract_digest: str
    epoch: int
    generation: int
    entities: dict[str, str]
    vector: list[float]
    views: list[ViewAge] = []
    score: float
    decision: bool
    latency_us: int
    outcome: Outcome = "ok"
    fallback_from: ArmName | None = None
    paired: list[PairedScore] = []
    sampling_fraction: float = 1.0
    routing: Routing = "split"
    degraded: bool = False
    fallback_outcome: Outcome | None = None
    charged: bool = True
    queued: bool = False


class PairedRecord(Struct, frozen=True, kw_only=True, tag="paired", tag_field="kind"):
    """A background score of an answered row. It comes after the row's answer, so it is logged apart and joined on landing.

    `event_time_us` repeats the row's, so that both land in the partition of the same day.
    """

    prediction_id: str
    event_time_us: int
    paired: PairedScore


class FeedbackRecord(Struct, frozen=True, kw_only=True, tag="feedback", tag_field="kind"):
    """Ground truth: what became of the row that `prediction_id` answered, as a caller reported it.

    `observed_at_us` is when the outcome was seen, on the platform's event clock; `received_at_us` when a gateway took the
    report, on the wall clock; both UTC microseconds since the epoch. Of several reports on one row the one observed last
    holds, of those the one received last. The gateway cannot know every id: it may name a row that was never answered.
    """

    prediction_id: str
    outcome: bool
    observed_at_us: int
    received_at_us: int


LogRecord = PredictionRecord | PairedRecord | FeedbackRecord
