"""What a drift report knows of the model's health."""

from pathlib import Path

import pytest

from orchestration.drift.figures import Said
from orchestration.drift.health import last_health

DOCUMENT = (
    '{"triton_model": "m_v1", "as_of": "2013-05-06T02:00:00Z", "windows": [],'
    ' "verdict": {"outcome": "bad", "reason": "surprise .09, up to .02 is usual", "as_of": "2013-05-06"}}'
)


def kept(reports: Path, text: str) -> None:
    (reports / "health").mkdir()
    (reports / "health" / "latest.json").write_text(text)


def test_the_last_verdict_is_told_with_its_model_and_time(tmp_path: Path) -> None:
    assert last_health(tmp_path) is None
    kept(tmp_path, DOCUMENT)
    assert last_health(tmp_path) == Said(
        outcome="bad", reason="m_v1 as of 2013-05-06 02:00: surprise .09, up to .02 is usual"
    )


@pytest.mark.parametrize("text", ["", "{}", DOCUMENT.replace('"bad"', "5")])
def test_what_is_no_report_is_named(tmp_path: Path, text: str) -> None:
    kept(tmp_path, text)
    with pytest.raises(ValueError, match=r"health/latest\.json is no report on the model's health"):
        last_health(tmp_path)
