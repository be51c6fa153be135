import math
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestration.settings import Settings
from orchestration.training.evaluation import Metrics
from orchestration.training.gates import Bound, GateResult, Gates, GatesError, judge_metrics, read_gates

SHIPPED = read_gates(Settings(home=Path()).metric_gates)
# A model of January to March in April, and the extremes that good models showed on the months of 2013.
APRIL = Metrics(28145, 0.8013, 0.4216, 0.1318, 0.275, -0.0148, 0.0176)
WORST_OF_THE_GOOD = Metrics(24489, 0.734, 0.509, 0.166, 0.127, -0.054, 0.054)


def changed(**fields: float) -> Metrics:
    return Metrics(**(vars(APRIL) | fields))


@pytest.mark.parametrize("metrics", [APRIL, WORST_OF_THE_GOOD])
def test_a_good_model_passes_the_shipped_gates(metrics: Metrics) -> None:
    result = judge_metrics(metrics, SHIPPED)

    assert result.passed
    assert [one.metric for one in result.judged] == list(vars(metrics))
    assert result.reason == "every metric is within its bound"


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"rows": 499}, "rows 499 (at least 500)"),
        ({"auc": 0.5}, "auc 0.5 (at least 0.7)"),
        ({"log_loss": 0.71}, "log_loss 0.71 (at most 0.6)"),
        ({"brier": 0.25}, "brier 0.25 (at most 0.2)"),
        ({"brier_skill": 0.0}, "brier_skill 0 (at least 0.1)"),
        ({"calibration_bias": 0.1}, "calibration_bias 0.1 (-0.08 to 0.08)"),
        ({"calibration_bias": -0.1}, "calibration_bias -0.1 (-0.08 to 0.08)"),
        ({"calibration_error": 0.12}, "calibration_error 0.12 (at most 0.08)"),
        ({"auc": 0.6, "brier": 0.3}, "auc 0.6 (at least 0.7); brier 0.3 (at most 0.2)"),
    ],
)
def test_what_is_out_of_bounds_is_named_with_its_bound(fields: dict[str, float], reason: str) -> None:
    result = judge_metrics(changed(**fields), SHIPPED)

    assert not result.passed
    assert [one.metric for one in result.failures] == list(fields)
    assert result.reason == reason


@pytest.mark.parametrize("metric", [name for name in Gates.__struct_fields__ if name != "rows"])
def test_what_is_no_number_passes_nothing(metric: str) -> None:
    anything = Gates(**dict.fromkeys(Gates.__struct_fields__, Bound(min=-math.inf, max=math.inf)))

    assert not judge_metrics(changed(**{metric: math.nan}), anything).passed
    assert not judge_metrics(changed(**{metric: math.nan}), SHIPPED).passed


def test_nothing_judged_is_nothing_passed() -> None:
    assert not GateResult(()).passed


@given(st.floats(-1, 1), st.floats(-1, 1), st.floats(-2, 2))
def test_a_bound_holds_what_lies_within_ends_included(one: float, other: float, value: float) -> None:
    low, high = sorted((one, other))

    assert Bound(min=low, max=high).holds(value) == (low <= value <= high)
    assert Bound(min=low, max=high).holds(low)
    assert Bound(min=low).holds(value) == (value >= low)
    assert Bound(max=high).holds(value) == (value <= high)


BAD = {
    "auc = {min = 'much'}": "Expected `float | null`, got `str` - at `$.auc.min`",
    "auc = {least = 0.7}": "Object contains unknown field `least` - at `$.auc`",
    "auc = {}": "needs `min`, `max` or both - at `$.auc`",
    "auc = {min = 0.9, max = 0.1}": "`min` 0.9 is above `max` 0.1 - at `$.auc`",
    "auc = 0.7": "Expected `object`, got `float` - at `$.auc`",
    "": "Object missing required field `auc`",
    "auc = {min = 0.7}\nroc = {min = 0.7}": "Object contains unknown field `roc`",
    "auc = {min = nan}": "`min` and `max` must be numbers - at `$.auc`",
    "auc = {min =": "Invalid",
}


@pytest.mark.parametrize(("line", "complaint"), BAD.items())
def test_a_bad_file_is_refused_with_the_path_of_the_field(tmp_path: Path, line: str, complaint: str) -> None:
    others = [name for name in Gates.__struct_fields__ if name != "auc"]
    path = tmp_path / "gates.toml"
    path.write_text("\n".join([line, *(f"{name} = {{max = 1.0}}" for name in others)]))

    with pytest.raises(GatesError, match=re.escape(complaint)) as refused:
        read_gates(path)
    assert f"metric gates in {path} (METRIC_GATES_PATH)" in str(refused.value)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(GatesError, match="No such file"):
        read_gates(tmp_path / "gates.toml")


def test_another_file_may_be_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "strict.toml"
    path.write_text("\n".join(f"{name} = {{max = 0.0}}" for name in Gates.__struct_fields__))
    monkeypatch.setenv("METRIC_GATES_PATH", str(path))

    assert not judge_metrics(APRIL, read_gates(Settings.load().metric_gates)).passed
