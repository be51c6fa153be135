"""Training as one call: rows to a registered version with its contract."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orchestration.features.inputs import model_inputs, vocabularies
from orchestration.features.training import read_training
from orchestration.features.views import view_window
from orchestration.training.contract import build_contract
from orchestration.training.figures import calibration_curve, importance_bars, score_histogram
from orchestration.training.gates import Gates
from orchestration.training.holdout import Days, Holdout, judge_on, read_samples
from orchestration.training.importance import permutation_importance
from orchestration.training.onnx_model import parity
from orchestration.training.recipe import Fitted, Samples, window
from orchestration.training.recipes import RECIPES, RecipeName
from orchestration.training.registry import HOLDOUT_DAYS, Alias, log_training, register
from serving_gateway.contracts import Input, ModelContract, ViewLayout

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Windows:
    """Half-open ranges of `sched_dep` days; the hold-out must not begin before the training window ends.

    With `refit` a recipe that passed its gates is fitted again, to both windows: the newest days teach it most. The
    hold-out then judges the recipe; the model itself is judged on trial.
    """

    train: Days
    holdout: Days
    refit: bool = False

    def __post_init__(self) -> None:
        if self.holdout[0] < self.train[1]:
            raise ValueError(
                f"the hold-out begins on {self.holdout[0]}, before the training window ends on {self.train[1]}: "
                "a model judged on days it has seen looks better than it is"
            )


@dataclass(frozen=True)
class Registration:
    """What came out. `parity`: largest difference between ONNX Runtime's and the trainer's scores."""

    contract: ModelContract
    holdout: Holdout
    training_samples: int
    parity: float
    importance: Mapping[str, float]
    figures: Mapping[str, "Figure"]


def train_and_register(
    mlflow: Any,
    training: Path,
    windows: Windows,
    views: Sequence[ViewLayout],
    *,
    alias: Alias,
    recipe: RecipeName,
    gates: Gates,
    like: ModelContract | None = None,
    source: str = "by hand",
) -> Registration:
    """Train, export, prove parity, judge on the hold-out, perhaps refit, register; the gates decide on `alias`.

    Args:
        mlflow: the module or dagster-mlflow's resource, with an active run.
        training: folder of the training rows' partitions.
        windows: training and hold-out days, and whether the model that is registered learns from both.
        views: Redis layout of the feature service, which travels in the contract.
        alias: registered-model alias to move to the new version if it passes its gates.
        recipe: how to train.
        gates: what the hold-out's metrics must reach.
        like: contract whose inputs, vocabularies included, the new version must share, so that both score one vector;
            without it they come from the training rows.
        source: who asked for it, an address if there is one; for the version's description.

    Raises:
        MissingPartitionError, TrainingDataError, ParityError, ArtifactError: nothing is registered then.
    """
    rows = read_training(training, *windows.train)
    inputs = like.inputs if like else model_inputs(vocabularies(rows))
    first, last = view_window(*windows.train)
    samples, unseen = window(rows, inputs, start=first, end=last), read_samples(training, inputs, windows.holdout)
    fitted, worst = _fitted(recipe, samples, inputs)
    holdout = judge_on(fitted.onnx, unseen, gates)
    importance = permutation_importance(fitted.onnx, unseen, inputs)
    figures = _figures(holdout, importance)
    if windows.refit and holdout.gates.passed:
        samples, last = samples.followed_by(unseen), view_window(*windows.holdout)[1]
        fitted, worst = _fitted(recipe, samples, inputs)
    described = _described(recipe, windows)
    log_training(mlflow, {**fitted.parameters, **described}, {"holdout": holdout.metrics}, figures)
    mlflow.log_metric("onnx_parity", worst)
    mlflow.set_tags({"recipe": recipe.value, "gates": "passed" if holdout.gates.passed else "failed"})
    contract_of = partial(
        build_contract, fitted.onnx, inputs=inputs, views=views, training_start=first, training_end=last
    )
    contract = register(
        mlflow,
        fitted.onnx,
        lambda version, run_id: contract_of(version=version, run_id=run_id),
        trees=fitted.trees,
        alias=alias,
        gates=holdout.gates,
        tags=described,
        description=_description(recipe, windows, holdout, source),
    )
    return Registration(contract, holdout, len(samples.labels), worst, importance, figures)


def _fitted(recipe: RecipeName, samples: Samples, inputs: Sequence[Input]) -> tuple[Fitted, float]:
    """What the recipe makes of the samples, and its parity. Raises ParityError."""
    fitted = RECIPES[recipe](samples, inputs)
    return fitted, parity(fitted.onnx, samples.vectors, fitted.scores)


def _figures(holdout: Holdout, importance: Mapping[str, float]) -> dict[str, "Figure"]:
    labels, scores = holdout.samples.labels, holdout.scores
    return {
        "calibration_curve": calibration_curve(labels, scores),
        "score_histogram": score_histogram(labels, scores),
        "feature_importance": importance_bars(importance),
    }


def _described(recipe: RecipeName, windows: Windows) -> dict[str, str]:
    train, holdout = ("/".join(map(str, days)) for days in (windows.train, windows.holdout))
    return {"recipe": recipe.value, "train_days": train, HOLDOUT_DAYS: holdout, "refit": str(windows.refit)}


def _description(recipe: RecipeName, windows: Windows, holdout: Holdout, source: str) -> str:
    metrics = holdout.metrics
    return (
        f"Recipe {recipe.value}, trained on the days {windows.train[0]} to {windows.train[1]} (exclusive), judged on "
        f"{metrics.rows:,} of {windows.holdout[0]} to {windows.holdout[1]}: AUC {metrics.auc:.4f}, log-loss "
        f"{metrics.log_loss:.4f}, Brier {metrics.brier:.4f}, calibration error {metrics.calibration_error:.4f}.\n\n"
        f"Gates {'passed' if holdout.gates.passed else 'failed'}: {holdout.gates.reason}."
        f"{' Fitted again to both windows.' if windows.refit and holdout.gates.passed else ''}\n\nTrained {source}"
    )
