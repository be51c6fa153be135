"""What each test says, its table of outcomes, and its sentences."""

import math

import numpy as np
import pytest

from orchestration.rollout.evidence import Evidence
from orchestration.rollout.policy import CriterionName, shipped_policy
from orchestration.rollout.verdict import CRITERIA, CriterionResult, Verdict, judge, judge_criterion

POLICY = shipped_policy().evidence


def of(name: CriterionName, *differences: float) -> Evidence:
    return Evidence(**{name: np.array(differences, dtype=np.float64)})  # type: ignore[arg-type]


def result(name: CriterionName, differences: np.ndarray) -> CriterionResult:
    return judge_criterion(name, of(name, *differences), POLICY)


def test_no_rows_never_promote() -> None:
    verdict = judge(Evidence(), POLICY)
    assert verdict.outcome == "inconclusive"
    assert verdict.reason == "no labelled row has been scored by both arms yet"
    assert [r.name for r in verdict.criteria] == list(CRITERIA)
    assert {(r.outcome, r.rows, r.e_fail, r.e_pass, r.more_rows) for r in verdict.criteria} == {
        ("inconclusive", 0, 1.0, 1.0, None)
    }


def test_a_test_without_rows_says_why_where_that_is_known() -> None:
    evidence = Evidence(absent={"score_shift": "MLflow is away"})
    assert judge(evidence, POLICY).criterion("score_shift").reason == "MLflow is away"


@pytest.mark.parametrize("name", CRITERIA)
@pytest.mark.parametrize("bad", [math.nan, math.inf, -1.1, 1.1])
def test_what_is_no_difference_is_an_error(name: CriterionName, bad: float) -> None:
    verdict = judge(of(name, 0.0, bad), POLICY)
    assert verdict.outcome == "error"
    assert verdict.criterion(name).outcome == "error"
    assert name in verdict.reason


@pytest.mark.parametrize("name", CRITERIA)
def test_each_test_fails_a_canary_that_is_clearly_worse_and_then_the_whole_fails(name: CriterionName) -> None:
    verdict = judge(of(name, *[0.5] * 200), POLICY)
    assert (verdict.outcome, verdict.criterion(name).outcome) == ("fail", "fail")
    assert verdict.criterion(name).e_fail >= 1 / POLICY.alpha_of(name)
    assert verdict.reason == verdict.criterion(name).reason


@pytest.mark.parametrize("name", CRITERIA)
def test_each_test_passes_a_canary_without_a_difference_but_only_the_loss_passes_the_whole(name: CriterionName) -> None:
    verdict = judge(of(name, *[0.0] * 2000), POLICY)
    assert verdict.criterion(name).outcome == "pass"
    assert verdict.outcome == ("pass" if name == "loss" else "inconclusive")


@pytest.mark.parametrize("sign", [-1.0, 1.0])
def test_only_the_shift_of_scores_counts_in_both_directions(sign: float) -> None:
    differences = np.full(300, 0.3 * sign)
    assert result("score_shift", differences).outcome == "fail"
    assert result("loss", differences).outcome == ("fail" if sign > 0 else "pass")


def test_a_shift_within_the_tolerance_is_no_guilt_and_one_beyond_delta_never_passes() -> None:
    assert result("score_shift", np.full(5000, POLICY.tests.score_shift.tolerance)).outcome == "pass"
    assert result("score_shift", np.full(5000, -POLICY.tests.score_shift.delta)).outcome == "fail"


def test_a_failure_goes_before_an_error_and_an_error_before_a_pass() -> None:
    passed, failed, broken = np.zeros(2000), np.full(200, 0.5), np.array([math.nan])
    assert judge(Evidence(loss=passed, errors=broken), POLICY).outcome == "error"
    assert judge(Evidence(loss=passed, errors=broken, latency=failed), POLICY).outcome == "fail"


def test_the_reason_of_a_failure_names_all_that_failed() -> None:
    verdict = judge(Evidence(errors=np.ones(100), loss=np.full(200, 0.5)), POLICY)
    assert "failed on the canary" in verdict.reason
    assert "Brier" in verdict.reason


def test_a_canary_once_shown_to_be_worse_stays_failed() -> None:
    assert result("loss", np.concatenate([np.full(200, 0.8), np.full(5000, -0.03)])).outcome == "fail"


def test_few_rows_are_inconclusive_and_say_how_many_more() -> None:
    found = result("loss", np.full(4, 0.5))
    assert found.outcome == "inconclusive"
    assert found.more_rows is not None
    assert f"about {found.more_rows} more labelled rows" in found.reason
    more = np.full(4 + found.more_rows, 0.5)
    assert result("loss", more).outcome == "fail"


def test_rows_that_say_nothing_expect_no_end() -> None:
    assert result("loss", np.array([1.0, -1.0] * 20)).more_rows is None


@pytest.mark.parametrize(
    ("name", "differences", "sentence"),
    [
        ("errors", [1.0] * 3 + [0.0] * 809, "of 812 canary rows that both arms were asked for, 3 more failed on the canary"),
        ("errors", [0.0], "of 1 canary row that both arms were asked for, as many failed on the canary as on the baseline"),
        ("invalid_outputs", [-1.0, 0.0], "1 fewer got no probability on the canary (-50.00%)"),
        ("score_shift", [0.2] * 3, "3 rows scored by both arms: the canary's log-odds are 0.200 higher than its model"),
        ("latency", [0.5, -0.1], "the canary and the control arm: the canary's request is the slower one in 60.0%"),
        ("loss", [-0.01] * 2, "2 labelled rows scored by both arms: the canary's Brier score is 0.0100 lower"),
    ],
)  # fmt: skip
def test_the_sentence_says_what_was_seen(name: CriterionName, differences: list[float], sentence: str) -> None:
    assert sentence in result(name, np.array(differences)).reason


def test_a_verdict_on_nothing_has_no_tests() -> None:
    with pytest.raises(KeyError):
        Verdict("inconclusive", "no model is on trial").criterion("loss")


def test_policy_is_frozen() -> None:
    with pytest.raises(AttributeError):
        POLICY.alpha = 0.5  # type: ignore[misc]
