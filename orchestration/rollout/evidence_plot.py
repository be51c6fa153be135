"""How the evidence on a trial has grown, as a picture for asset metadata."""

import math
from typing import TYPE_CHECKING

import numpy as np

from orchestration.plots import figure_markdown, new_figure
from orchestration.rollout.betting import bounded
from orchestration.rollout.evidence import Evidence
from orchestration.rollout.policy import CriterionName, EvidencePolicy
from orchestration.rollout.verdict import CRITERIA, capitals
from orchestration.rollout.wording import unit

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# More points than pixels would only make the picture large.
_POINTS = 1000
_HEIGHT_IN = 1.9
_LOG_10 = math.log(10)


def evidence_markdown(evidence: Evidence, policy: EvidencePolicy) -> str | None:
    """The e-processes of every test that has rows, below each other, with their bounds; None where no test has any.

    On a logarithmic scale. Reaching its bound decides a side; below 1 a side has lost capital.
    """
    drawn = [name for name in CRITERIA if len(evidence.of(name)) and bounded(evidence.of(name))]
    if not drawn:
        return None
    figure = new_figure(height_in=_HEIGHT_IN * len(drawn) + 0.4)
    for axes, name in zip(figure.subplots(len(drawn), squeeze=False)[:, 0], drawn, strict=True):
        _draw(axes, name, evidence, policy)
    return figure_markdown(figure)


def _draw(axes: "Axes", name: CriterionName, evidence: Evidence, policy: EvidencePolicy) -> None:
    found = capitals(name, evidence.of(name), policy)
    rows = len(found.fail)
    at = np.unique(np.linspace(0, rows - 1, _POINTS).astype(np.int64))
    passed = np.min(found.passed, axis=0)
    for capital, alpha, colour, label in (
        (found.fail, policy.alpha_of(name), "tab:red", "fail"),
        (passed, policy.alpha_pass, "tab:green", "pass"),
    ):
        axes.plot(at + 1, capital[at] / _LOG_10, color=colour, label=f"evidence for: {label}")
        axes.axhline(-math.log10(alpha), color=colour, linestyle=":", linewidth=1)
    axes.set_title(name, loc="left", fontsize="small")
    axes.set_xlabel(unit(name, rows), fontsize="small")
    axes.set_ylabel("log10 of the capital", fontsize="small")
    axes.legend(loc="upper left", fontsize="x-small", frameon=False)
