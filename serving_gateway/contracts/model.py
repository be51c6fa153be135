"""The model contract: how a model's input vector is made from a request and the online store.

It travels with the model from training to Triton to the gateway, so that the gateway knows nothing of the use case.
"""

import hashlib
from typing import Literal

import msgspec
from msgspec import Struct

from serving_gateway.contracts.online_layout import ViewLayout


class RequestField(Struct, frozen=True, tag="request", tag_field="kind"):
    """The value is sent by the caller under `field`."""

    field: str


class Feature(Struct, frozen=True, tag="feature", tag_field="kind"):
    """The value is stored in the online store as `view`:`feature`."""

    view: str
    feature: str


class MinutesSince(Struct, frozen=True, tag="minutes_since", tag_field="kind"):
    """Minutes from the stored instant `view`:`feature` (UNIX seconds) to the request's event time."""

    view: str
    feature: str


class CountWithin(Struct, frozen=True, tag="count_within", tag_field="kind"):
    """How many of the stored instants `view`:`feature` (UNIX seconds, ascending) lie in (t - after_s, t - upto_s].

    t is the request's event time in UNIX seconds.
    """

    view: str
    feature: str
    after_s: int
    upto_s: int


class ShareWithin(Struct, frozen=True, tag="share_within", tag_field="kind"):
    """`part` counted as by CountWithin, divided by `whole` counted so; null where `whole` counts nothing."""

    view: str
    part: str
    whole: str
    after_s: int
    upto_s: int


Source = RequestField | Feature | MinutesSince | CountWithin | ShareWithin


def stored_features(source: Source) -> tuple[tuple[str, str], ...]:
    """The (view, feature) pairs of the online store that a source reads; none for a field of the request."""
    match source:
        case RequestField():
            return ()
        case ShareWithin(view=view, part=part, whole=whole):
            return (view, part), (view, whole)
        case _:
            return ((source.view, source.feature),)


class Input(Struct, frozen=True, kw_only=True):
    """One element of the input vector. What depends on when it is read is an expression over what is stored.

    A `category` is sent as its string and scored as its index in `vocabulary`.

    Null policy: a null, missing or expired value is NaN, which the models treat as missing.
    Unknown policy: a category outside the vocabulary is NaN.
    """

    name: str
    dtype: Literal["float32", "int32", "category"]
    source: Source
    vocabulary: tuple[str, ...] = ()


class ModelContract(Struct, frozen=True, kw_only=True):
    """Everything a gateway needs to score with one model version.

    Its version is its digest: a reader of another version, which knows fewer fields or kinds of sources, gets another digest
    or none, and refuses it.

    Triton tensors: input `input_tensor` FP32 [n, len(inputs)], output `output_tensor` FP32 [n, 1], a probability.
    """

    model: str
    version: str
    inputs: tuple[Input, ...]
    views: tuple[ViewLayout, ...]
    feature_service: str
    project: str
    decision_threshold: float
    training_start: str
    training_end: str
    mlflow_run_id: str
    artifact_digest: str
    input_tensor: str = "features"
    output_tensor: str = "score"

    def to_json(self) -> bytes:
        """Canonical JSON: the bytes that `digest` is taken over."""
        return msgspec.json.encode(self, order="sorted")

    @property
    def digest(self) -> str:
        """First 16 hex digits of the SHA-256 of the canonical JSON."""
        return hashlib.sha256(self.to_json()).hexdigest()[:16]

    @property
    def signature(self) -> tuple[tuple[str, str, tuple[str, ...]], ...]:
        """(name, dtype, vocabulary) of every input in order: two arms can share traffic only if these are equal."""
        return tuple((i.name, i.dtype, i.vocabulary) for i in self.inputs)

    @classmethod
    def from_json(cls, data: bytes | str) -> "ModelContract":
        """Parse; raises msgspec.ValidationError with the path of the offending field."""
        return msgspec.json.decode(data, type=cls)
