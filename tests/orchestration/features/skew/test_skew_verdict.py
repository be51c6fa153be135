"""Where the verdict turns."""

from typing import Any

import msgspec
import pytest

from orchestration.features.skew.policy import FEWEST_ROWS
from orchestration.features.skew.reasons import Reason
from orchestration.features.skew.report import FeatureSkew, SkewReport
from orchestration.features.skew.served import APART, GIVEN
from orchestration.features.skew.verdict import judge_skew

REPORT = SkewReport(
    day="2013-05-01", start="2013-04-30T23:00", end="2013-05-01T23:00", logged=2000, rows=2000,
    apart=dict.fromkeys(APART, 0),
)  # fmt: skip


def feature(name: str = "f", rows: int = 2000, **causes: float) -> FeatureSkew:
    found = [Reason(cause.replace("_", " "), n) for cause, n in causes.items()]
    differing = round(sum(causes.values()))
    return FeatureSkew(
        feature=name, source="v:f", rows=rows, exact=rows - differing, differing=differing, reasons=found
    )


def report(*features: FeatureSkew, **changes: Any) -> SkewReport:
    return msgspec.structs.replace(REPORT, features=list(features), **changes)


@pytest.mark.parametrize(
    ("causes", "outcome", "defect"),
    [
        ({}, "pass", False),
        ({"unknown": 2}, "pass", False),
        ({"unknown": 3}, "fail", True),
        ({"expired": 3}, "fail", True),
        ({"frozen_view": 3}, "fail", True),
        ({"late_event": 100}, "pass", False),
        ({"late_event": 101}, "fail", False),
        ({"stale_row": 50, "late_event": 51}, "fail", False),
        ({"late_event": 200, "unit": 3}, "fail", True),
        ({"late_event": 100, "unknown": 2}, "pass", False),
    ],
)
def test_bounds(causes: dict[str, float], outcome: str, defect: bool) -> None:
    verdict = judge_skew(report(feature("good"), feature("f", **causes)))
    assert (verdict.outcome, verdict.defect) == (outcome, defect), verdict.reason
    if outcome == "fail":
        assert "1 of 2 features differ: f (" in verdict.reason


def test_a_day_without_predictions_is_inconclusive() -> None:
    verdict = judge_skew(report(logged=0, rows=0))
    assert verdict.outcome == "inconclusive"
    assert "no prediction was logged from 2013-04-30T23:00 to 2013-05-01T23:00" in verdict.reason


def test_few_rows_pass_nothing_and_say_where_the_others_are() -> None:
    few = report(feature(rows=FEWEST_ROWS - 1), rows=FEWEST_ROWS - 1, apart={GIVEN: 1901})
    assert judge_skew(few).outcome == "inconclusive"
    assert "1901 given features" in judge_skew(few).reason
    assert judge_skew(report(feature(rows=FEWEST_ROWS), rows=FEWEST_ROWS)).outcome == "pass"


def test_rows_of_which_no_feature_can_be_compared_pass_nothing() -> None:
    why = {"f": "no training rows of the day are stored"}
    for features in ((), (feature(rows=0),)):
        verdict = judge_skew(report(*features, left_out=why))
        assert verdict.outcome == "inconclusive"
        assert verdict.reason == "no feature of 2000 rows can be compared: no training rows of the day are stored"


def test_a_pass_says_how_many_features_it_does_not_speak_of() -> None:
    verdict = judge_skew(report(feature("f"), feature("g", rows=0), left_out={"h": "no training row has it"}))
    assert verdict.outcome == "pass"
    assert verdict.reason == "1 features of 2000 rows are as in training; 2 are left out, wholly or in part"


def test_few_rows_that_differ_fail() -> None:
    assert judge_skew(report(feature(rows=3, unit=3), rows=3)).outcome == "fail"


def test_the_worst_are_named_and_the_rest_counted() -> None:
    verdict = judge_skew(report(*(feature(f"f{n}", unit=100 + n) for n in range(8))))
    assert verdict.reason.startswith("8 of 8 features differ: f7 (5.3%, looks like unit), f6")
    assert verdict.reason.endswith("and 3 more")


def test_a_cause_that_is_unknown_looks_like_nothing() -> None:
    assert "(5.0%, cause unknown)" in judge_skew(report(feature(unknown=100))).reason
