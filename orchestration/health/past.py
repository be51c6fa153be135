"""What a model did in weeks that it had not seen, before it served: windows of its training days, from a rolling origin.

Each window is scored by a model that was trained on all days before it and on nothing else (L. J. Tashman, "Out-of-sample
tests of forecasting accuracy", International Journal of Forecasting 16, 2000, section 3).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path

from orchestration.features.training import read_training
from orchestration.features.views import LEAD, view_window
from orchestration.health.label_free import Estimate, Figure, estimated
from orchestration.health.policy import HealthPolicy
from orchestration.health.windows import WindowHealth, window_days, window_health
from orchestration.training.recipe import Recipe, window
from orchestration.training.recipes import RECIPES, RecipeName
from serving_gateway.contracts import Input, ModelContract

Days = tuple[date, date]


@dataclass(frozen=True)
class PastWindow:
    """The days [`first`, `end`), how a model did that had not seen them, and what was to be expected without labels."""

    first: date
    end: date
    health: WindowHealth
    estimates: Mapping[Figure, Estimate]


@dataclass(frozen=True)
class Past:
    """The past windows of a registered model, cut from the days [`first`, `end`), and the recipe that they were made by."""

    model: str
    recipe: str
    first: date
    end: date
    windows: Sequence[PastWindow]


def fitted_past(training: Path, contract: ModelContract, recipe: RecipeName, policy: HealthPolicy) -> Past:
    """The past windows of the days that the contract's model has learned from. Raises as `past_windows` does."""
    days = trained_days(contract)
    windows = past_windows(training, days, contract.inputs, RECIPES[recipe], policy)
    return Past(contract.model, recipe.value, *days, windows)


def is_usual(past: Past, model: str, policy: HealthPolicy) -> bool:
    """Whether the windows are the model's and enough to fit thresholds to."""
    return past.model == model and len(past.windows) >= policy.thresholds.fewest_windows


def trained_days(contract: ModelContract) -> Days:
    """[first, end) of the days that the model has learned from, by scheduled departure."""
    first, end = (datetime.fromisoformat(t) + LEAD for t in (contract.training_start, contract.training_end))
    return first.date(), end.date()


def past_windows(
    training: Path, days: Days, inputs: Sequence[Input], recipe: Recipe, policy: HealthPolicy
) -> list[PastWindow]:
    """The windows of `rolling_origins`, each scored by the recipe's model of the days before it: one training a window.

    Raises MissingPartitionError naming days that `training` lacks, TrainingDataError where days hold one label only.
    """
    return [_scored(training, learnt, judged, inputs, recipe) for learnt, judged in rolling_origins(days, policy)]


def _scored(training: Path, learnt: Days, judged: Days, inputs: Sequence[Input], recipe: Recipe) -> PastWindow:
    from orchestration.training.onnx_model import score

    rows = read_training(training, learnt[0], judged[1])
    seen, unseen = (
        window(rows, inputs, start=start, end=end) for start, end in (view_window(*learnt), view_window(*judged))
    )
    scores = score(recipe(seen, inputs).onnx, unseen.vectors)
    return PastWindow(*judged, window_health(unseen.labels, scores), estimated(scores))


def rolling_origins(days: Days, policy: HealthPolicy) -> list[tuple[Days, Days]]:
    """(training days, window) of every whole window in `days`, [first, end), that has enough days before it.

    In order of time; of more than the policy asks for, the last ones.
    """
    first, end = days
    origins = []
    judged = window_days(first + timedelta(days=policy.past.fewest_training_days), policy.windows.days)
    while judged[1] <= end:
        if (judged[0] - first).days >= policy.past.fewest_training_days:
            origins.append(((first, judged[0]), judged))
        judged = window_days(judged[1], policy.windows.days)
    return origins[-policy.past.most_windows :]
