"""The file of health numbers: whole, or refused with the field's path."""

from pathlib import Path

import pytest

from orchestration.health.policy import SHIPPED, HealthPolicyError, read_health_policy


def test_the_shipped_policy_is_read() -> None:
    assert read_health_policy(SHIPPED).windows.days == 7


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("days = 7", "days = 0", r"`\$\.windows\.days`"),
        ("quantile = ", "quantil = ", r"`\$\.thresholds`"),
        ("noise = ", "#", "missing required field `noise`"),
        ("fewest_labels = 0.9", "fewest_labels = 90", r"`\$\.windows\.fewest_labels`"),
        ("[retraining]", "[retraining", "policy.toml"),
    ],
)
def test_a_bad_field_is_named_with_the_file(tmp_path: Path, old: str, new: str, reason: str) -> None:
    path = tmp_path / "policy.toml"
    text = SHIPPED.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    with pytest.raises(HealthPolicyError, match=reason) as error:
        read_health_policy(path)
    assert f"{path} (HEALTH_POLICY_PATH)" in str(error.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(HealthPolicyError, match="there_is_none"):
        read_health_policy(tmp_path / "there_is_none.toml")
