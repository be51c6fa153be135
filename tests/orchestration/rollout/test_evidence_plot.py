import base64

import numpy as np
import polars as pl
import pytest

from orchestration.rollout.evidence_plot import evidence_markdown
from orchestration.rollout.policy import shipped_policy


@pytest.mark.integration  # it imports matplotlib
@pytest.mark.parametrize("rows", [1, 500])
def test_the_evidence_is_a_small_picture(rows: int) -> None:
    rng = np.random.default_rng(3)
    truth = rng.beta(1.2, 3.6, rows)
    labels = (rng.random(rows) < truth).astype(float)
    shown = evidence_markdown(
        pl.DataFrame({"label": labels, "baseline": truth, "canary": truth[::-1]}), shipped_policy().evidence
    )
    picture = base64.b64decode(shown.partition("base64,")[2].rstrip(")"))
    assert picture.startswith(b"\x89PNG")
    assert len(picture) < 40_000
