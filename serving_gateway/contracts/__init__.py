"""What crosses process boundaries: rollout state, model contract, prediction record, online layout."""

from serving_gateway.contracts.model import (
    CountWithin,
    Feature,
    Input,
    MinutesSince,
    ModelContract,
    RequestField,
    ShareWithin,
    stored_features,
)
from serving_gateway.contracts.online_layout import FeatureField, ViewLayout
from serving_gateway.contracts.prediction import (
    FeedbackRecord,
    LogRecord,
    PairedRecord,
    PairedScore,
    PredictionRecord,
    ViewAge,
)
from serving_gateway.contracts.prediction_log import StreamBatch, advanced
from serving_gateway.contracts.rollout import Arm, Arms, RolloutState

__all__ = [
    "Arm",
    "Arms",
    "CountWithin",
    "Feature",
    "FeatureField",
    "FeedbackRecord",
    "Input",
    "LogRecord",
    "MinutesSince",
    "ModelContract",
    "PairedRecord",
    "PairedScore",
    "PredictionRecord",
    "RequestField",
    "RolloutState",
    "ShareWithin",
    "StreamBatch",
    "ViewAge",
    "ViewLayout",
    "advanced",
    "stored_features",
]
