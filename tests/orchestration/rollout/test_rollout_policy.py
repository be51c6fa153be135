"""The policy's file: the shipped one holds, and a bad one is named with the path of its field."""

from pathlib import Path

import pytest

from orchestration.rollout.policy import SHIPPED, PolicyError, read_policy, shipped_policy
from orchestration.settings import Settings

TEXT = SHIPPED.read_text()
LAST = TEXT.rindex("weight = 1.0")


def test_the_shipped_policy_is_the_default_and_leads_from_the_shadow_to_everything(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("ROLLOUT_POLICY_PATH", raising=False)
    policy = read_policy(Settings.load().rollout_policy)
    assert policy == shipped_policy()
    weights = [step.weight for step in policy.rollout.steps]
    assert (weights[0], weights[-1]) == (0.0, 1.0)
    assert all("loss" in step.needs for step in policy.rollout.steps), "nothing goes on without labels"
    assert all(step.rows and step.labels and step.hold_hours for step in policy.rollout.steps)


BAD = [
    ("alpha = 0.05", "alpha = 2.0", r"\$\.evidence\.alpha"),
    ("alpha = 0.05", 'alpha = "much"', r"\$\.evidence\.alpha"),
    ("alpha = 0.05", "alpa = 0.05", "alpa"),
    ("reflex = 0.02", "reflex = 0.03", "must sum to 1, not 1.01"),
    ("automatic = true", "automatic = 1", r"\$\.rollout\.automatic"),
    ("hold_hours = 24", "hold_hours = -1", r"\$\.rollout\.steps\[.+\]\.hold_hours"),
    ("rows = 500", "rows = 0.5", r"\$\.rollout\.steps\[.+\]\.rows"),
    ('needs = ["loss"]', 'needs = ["luck"]', r"\$\.rollout\.steps\[.+\]\.needs"),
    ("weight = 0.05", "weight = 0.00005", r"must be 0 to 1 in steps of 0.0001"),
    ("weight = 0.05", "weight = 0.5", "the weights of the steps must not fall"),
    ("shadow_fraction = 1.0", "shadow_fraction = 0.0", "the model would have nothing to do"),
]


@pytest.mark.parametrize(("good", "bad", "why"), BAD, ids=[bad for _, bad, _ in BAD])
def test_a_bad_field_is_named_with_the_file(good: str, bad: str, why: str, tmp_path: Path) -> None:
    path = tmp_path / "policy.toml"
    assert good in TEXT
    path.write_text(TEXT.replace(good, bad, 1))
    with pytest.raises(PolicyError, match=rf"rollout policy in {path} \(ROLLOUT_POLICY_PATH\): .*{why}"):
        read_policy(path)


def test_the_last_step_answers_everything(tmp_path: Path) -> None:
    path = tmp_path / "policy.toml"
    path.write_text(
        TEXT[:LAST] + "weight = 0.9" + TEXT[LAST + len("weight = 1.0") :].replace("fraction = 0.0", "fraction = 1.0")
    )
    with pytest.raises(PolicyError, match="the last step must have weight 1"):
        read_policy(path)


@pytest.mark.parametrize("content", [None, b"", b"[", b"\xff"])
def test_a_file_that_is_none_is_named(content: bytes | None, tmp_path: Path) -> None:
    path = tmp_path / "policy.toml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(PolicyError, match=str(path)):
        read_policy(path)
