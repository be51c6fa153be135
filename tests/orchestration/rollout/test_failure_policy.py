"""Failures are tested against a tolerated share, and betting needs one that lies between none and a sixth."""

from pathlib import Path

import pytest

from orchestration.rollout.policy import SHIPPED, PolicyError, read_policy, shipped_policy
from serving_gateway.control.reflex import TripPolicy


@pytest.mark.parametrize(("test", "shipped"), [("errors", "0.002"), ("invalid_outputs", "0.001")])
@pytest.mark.parametrize("tolerance", ["0.0", "0.2"])
def test_a_tolerance_of_failures_that_cannot_be_tested_is_refused(
    tmp_path: Path, test: str, shipped: str, tolerance: str
) -> None:
    head, mark, tail = SHIPPED.read_text().partition(f"[evidence.tests.{test}]")
    path = tmp_path / "policy.toml"
    moved = tail.replace(f"tolerance = {shipped}", f"tolerance = {tolerance}", 1).replace(
        "delta = 0.01", "delta = 0.5", 1
    )
    path.write_text(head + mark + moved)
    with pytest.raises(PolicyError, match="`tolerance` of failures must be above 0 and below 1 / 6"):
        read_policy(path)


def test_the_verdict_tolerates_as_many_errors_as_the_reflex() -> None:
    assert shipped_policy().evidence.tests.errors.tolerance == TripPolicy().tolerated
