"""How the evidence on a trial has grown, as a picture for asset metadata."""

import numpy as np
import polars as pl

from orchestration.plots import figure_markdown, new_figure
from orchestration.rollout.eprocess import capital
from orchestration.rollout.policy import EvidencePolicy
from orchestration.rollout.verdict import brier_differences


def evidence_markdown(rows: pl.DataFrame, policy: EvidencePolicy) -> str:
    """Both e-processes over the labelled rows of a trial with their bounds, on a logarithmic scale.

    `rows` are those of `paired_rows`, at least one. Reaching its bound decides a side; below 1 a side has lost capital.
    """
    worse_by = brier_differences(rows["label"].to_numpy(), rows["baseline"].to_numpy(), rows["canary"].to_numpy())
    figure = new_figure()
    axes = figure.add_subplot()
    at = np.arange(1, len(worse_by) + 1)
    for differences, alpha, colour, label in (
        (worse_by, policy.alpha_of("loss"), "tab:red", "it is worse"),
        (
            policy.tests.loss.delta - worse_by,
            policy.alpha_pass,
            "tab:green",
            f"it is not worse by {policy.tests.loss.delta:g}",
        ),
    ):
        axes.plot(at, np.log10(capital(differences)), color=colour, label=f"evidence that {label}")
        axes.axhline(np.log10(1 / alpha), color=colour, linestyle=":", linewidth=1)
    axes.set_xlabel("labelled rows that both models scored")
    axes.set_ylabel("log10 of the capital")
    axes.legend(loc="upper left", fontsize="small", frameon=False)
    return figure_markdown(figure)
