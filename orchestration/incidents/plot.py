"""A trial as a picture: the canary's share over time, and the evidence that ended it."""

import io
import math
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from orchestration.plots import DPI, new_figure
from orchestration.rollout.evidence_documents import EvidenceDocument
from serving_gateway.contracts.rollout import BASIS_POINTS, RolloutState

_HEIGHT_IN = 2.4
_TAIL = 0.05  # of the width, so that the end is seen


def trial_png(states: Sequence[RolloutState], document: EvidenceDocument | None) -> bytes:
    """A PNG of the states of a trial, oldest first, by the wall clock; `document` is what the last of them rests on."""
    from matplotlib.dates import ConciseDateFormatter

    tests = [found for found in document.criteria if found.e_fail] if document else []
    figure = new_figure(height_in=_HEIGHT_IN * (2 if tests else 1))
    axes = figure.subplots(2 if tests else 1, squeeze=False)[:, 0]
    times = [datetime.fromisoformat(state.time) for state in states]
    tail = max((times[-1] - times[0]) * _TAIL, timedelta(seconds=1))
    for shares, label, colour in (
        ([state.canary_weight_bp / BASIS_POINTS for state in states], "answers", "tab:orange"),
        ([state.shadow_fraction for state in states], "shadows", "tab:blue"),
    ):
        axes[0].step([*times, times[-1] + tail], [*shares, shares[-1]], where="post", color=colour, label=label)
    if states[-1].phase == "rolled_back":
        axes[0].axvline(times[-1], color="tab:red", linestyle=":", linewidth=1, label="rolled back")
    formatter: Any = ConciseDateFormatter
    axes[0].xaxis.set_major_formatter(formatter(axes[0].xaxis.get_major_locator()))
    axes[0].set_ylim(-0.05, 1.05)
    axes[0].set_ylabel("share of requests")
    axes[0].set_xlabel("wall clock, UTC")
    axes[0].legend(loc="center left", fontsize="x-small", frameon=False)
    if tests:
        names = [found.name for found in tests]
        axes[1].barh(names, [math.log10(found.e_fail or 1.0) for found in tests], color="tab:red")
        axes[1].set_xlabel("log10 of the evidence that the canary is worse")
        axes[1].invert_yaxis()
    drawn = io.BytesIO()
    figure.savefig(drawn, format="png", dpi=DPI)
    return drawn.getvalue()
