"""What a trained model shows in Dagster: its figures, plots and links, and the check of its gates."""

from typing import TYPE_CHECKING, Any

import dagster as dg

from orchestration.training.registry import Alias

if TYPE_CHECKING:
    from orchestration.training.pipeline import Registration


def model_metadata(result: "Registration", alias: Alias, *, recipe: str, mlflow_run: str) -> dict[str, Any]:
    """Label to value; `mlflow_run` is the run's address."""
    from orchestration.plots import figure_markdown

    metrics, contract = result.holdout.metrics, result.contract
    plots = {name.replace("_", " "): figure_markdown(figure) for name, figure in result.figures.items()}
    return {
        "version": contract.version,
        "alias": alias if result.holdout.gates.passed else "none: it failed its gates",
        "recipe": recipe,
        "holdout AUC": metrics.auc,
        "holdout log-loss": metrics.log_loss,
        "holdout Brier": metrics.brier,
        "holdout Brier skill": metrics.brier_skill,
        "holdout calibration bias": metrics.calibration_bias,
        "holdout calibration error": metrics.calibration_error,
        "holdout rows": metrics.rows,
        "training rows": result.training_samples,
        "ONNX parity": result.parity,
        "contract": contract.digest,
        "MLflow run": dg.MetadataValue.url(mlflow_run),
        **{name: dg.MetadataValue.md(plot) for name, plot in plots.items()},
    }


def gate_check(result: "Registration", name: str) -> dg.AssetCheckResult:
    """Every metric against its bound; a failed one keeps the version from its alias and from Triton."""
    gates = result.holdout.gates
    rows = [
        dg.TableRecord({"metric": one.metric, "value": f"{one.value:.4g}", "bound": str(one.bound), "ok": one.ok})
        for one in gates.judged
    ]
    return dg.AssetCheckResult(
        check_name=name,
        passed=gates.passed,
        description=gates.reason,
        metadata={"reason": gates.reason, "gates": dg.MetadataValue.table(rows)},
    )
