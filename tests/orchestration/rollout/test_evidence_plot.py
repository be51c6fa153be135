import base64

import numpy as np
import pytest

from orchestration.rollout.evidence import Evidence
from orchestration.rollout.evidence_plot import evidence_markdown
from orchestration.rollout.policy import shipped_policy

POLICY = shipped_policy().evidence


@pytest.mark.integration  # it imports matplotlib
@pytest.mark.parametrize("rows", [1, 20_000])
def test_the_evidence_is_a_small_picture_with_every_test_that_has_rows(rows: int) -> None:
    rng = np.random.default_rng(3)
    one = evidence_markdown(Evidence(loss=rng.uniform(-1, 1, rows)), POLICY)
    broken = np.array([np.nan])
    two = evidence_markdown(Evidence(loss=rng.uniform(-1, 1, rows), errors=np.zeros(rows), latency=broken), POLICY)
    assert one is not None
    assert two is not None
    assert height(two) > 1.5 * height(one)
    assert len(two) < 80_000


def height(shown: str) -> int:
    """Of the PNG, in pixels."""
    picture = base64.b64decode(shown.partition("base64,")[2].rstrip(")"))
    assert picture.startswith(b"\x89PNG")
    return int.from_bytes(picture[20:24])


def test_without_rows_there_is_no_picture() -> None:
    assert evidence_markdown(Evidence(), POLICY) is None
