"""A look at the model that answers, on a log and a lake: what it finds, and that what it has found stays."""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import msgspec
import pytest

from orchestration.health.judged import answering, look
from orchestration.health.past import Past, fitted_past, is_usual, trained_days
from orchestration.health.policy import shipped_health_policy
from orchestration.health.report import HealthReport, past_file, read_windows, windows_file, write_document
from orchestration.training.recipes import RecipeName
from serving_gateway.contracts.rollout import Arm, Arms, RolloutState
from tests.orchestration.health.logs import DAY, MODEL, write_days
from tests.orchestration.health.windows import figures
from tests.synthetic import synthetic_inputs, synthetic_model, write_partitioned

POLICY = shipped_health_policy()
ARM = Arm(model="flight_delay", version="1", triton_model=MODEL, contract_digest="d")
MONDAY = date(2013, 4, 1)
WEEK = 7 * DAY


@pytest.fixture
def lake(tmp_path: Path) -> Path:
    """What is usual is known."""
    past = [figures(seed, date(2013, 2, 4) + seed * WEEK) for seed in range(8)]
    write_document(past_file(tmp_path), Past("flight_delay", "lightgbm", date(2013, 1, 1), MONDAY, past))
    return tmp_path


def at(day: date, hour: int = 3) -> datetime:
    return datetime(day.year, day.month, day.day, hour, tzinfo=UTC)


def looked(lake: Path, day: date, days: int = 56) -> HealthReport:
    return look(lake, ARM, POLICY, now=at(day), days=days)


def outcomes(report: HealthReport) -> str:
    return "".join(window.verdict.outcome[0] for window in report.windows)


def test_a_calibrated_model_is_well_and_one_that_lost_the_world_is_bad_after_two_windows(lake: Path) -> None:
    write_days(lake, MONDAY, 14)
    write_days(lake, MONDAY + 2 * WEEK, 14, log_odds=0.5)
    second = looked(lake, MONDAY + 2 * WEEK)
    assert (second.verdict.outcome, outcomes(second)) == ("good", "gg")
    assert looked(lake, MONDAY + 3 * WEEK).verdict.outcome == "good", "one bad window"
    last = looked(lake, MONDAY + 4 * WEEK)
    assert (last.verdict.outcome, outcomes(last)) == ("bad", "ggbb")
    assert last.verdict.as_of == MONDAY + 4 * WEEK
    assert (last.late_labels, len(last.days), last.thresholds.windows) == ("", 28, 8)
    assert set(last.record) == {"log_loss", "brier", "auc"}
    assert last.record["log_loss"].windows == 8 + 4


def test_a_judged_window_stays_judged_whatever_becomes_of_labels_and_policy(lake: Path) -> None:
    write_days(lake, MONDAY, 7)
    first = looked(lake, MONDAY + WEEK)
    write_days(lake, MONDAY, 7, log_odds=2.0)  # every outcome is corrected
    strict = msgspec.structs.replace(POLICY, windows=msgspec.structs.replace(POLICY.windows, fewest_rows=99999))
    again = look(lake, ARM, strict, now=at(MONDAY + WEEK + DAY), days=56)
    assert again.windows == first.windows
    assert looked(lake, MONDAY + 30 * WEEK).windows == first.windows, "however far back it is"


def test_a_window_that_could_not_be_judged_is_judged_when_it_can_be(tmp_path: Path) -> None:
    write_days(tmp_path, MONDAY, 7)
    unknown = looked(tmp_path, MONDAY + WEEK)
    assert (unknown.verdict.outcome, outcomes(unknown)) == ("inconclusive", "i")
    assert "0 past windows are known" in unknown.verdict.reason
    assert read_windows(tmp_path, MODEL) == []
    past = [figures(seed, MONDAY) for seed in range(8)]
    write_document(past_file(tmp_path), Past("flight_delay", "lightgbm", date(2013, 1, 1), MONDAY, past))
    assert looked(tmp_path, MONDAY + WEEK).verdict.outcome == "good"


def test_what_is_usual_for_another_model_says_nothing(tmp_path: Path) -> None:
    past = [figures(seed, MONDAY) for seed in range(8)]
    write_document(past_file(tmp_path), Past("another", "lightgbm", date(2013, 1, 1), MONDAY, past))
    write_days(tmp_path, MONDAY, 7)
    assert not looked(tmp_path, MONDAY + WEEK).thresholds.enough


def test_labels_that_stay_away_are_said_and_no_verdict(lake: Path) -> None:
    write_days(lake, MONDAY, 3)
    write_days(lake, MONDAY + 3 * DAY, 4, outcomes=False)
    found = looked(lake, MONDAY + WEEK)
    assert "behind the event clock" in found.late_labels
    assert (found.verdict.outcome, outcomes(found), len(found.days)) == ("inconclusive", "", 3)
    assert found.estimated_rows == 7 * 300
    assert set(found.estimates) == {"log_loss", "brier", "auc"}


def test_a_clock_that_was_set_back_knows_nothing_of_later_windows(lake: Path) -> None:
    write_days(lake, MONDAY, 21)
    assert outcomes(looked(lake, MONDAY + 3 * WEEK)) == "ggg"
    assert outcomes(looked(lake, MONDAY + WEEK)) == "g"


def test_windows_of_another_length_are_not_mixed_with_those_of_the_policy(lake: Path) -> None:
    write_days(lake, MONDAY, 14)
    looked(lake, MONDAY + 2 * WEEK)
    daily = msgspec.structs.replace(POLICY, windows=msgspec.structs.replace(POLICY.windows, days=1, fewest_rows=100))
    found = look(lake, ARM, daily, now=at(MONDAY + 2 * WEEK), days=56)
    assert [window.verdict.first for window in found.windows] == [MONDAY + n * DAY for n in range(14)]


def test_a_look_back_into_a_window_takes_it_whole(lake: Path) -> None:
    write_days(lake, MONDAY, 14)
    found = looked(lake, MONDAY + 2 * WEEK, days=10)
    assert [window.predictions for window in found.windows] == [2100, 2100]


def test_damaged_windows_are_named(lake: Path) -> None:
    windows_file(lake, MODEL).write_text("[")
    with pytest.raises(Exception, match=f"{MODEL}.json cannot be read"):
        looked(lake, MONDAY)


def test_the_model_that_is_judged_is_the_one_that_answers() -> None:
    other = msgspec.structs.replace(ARM, triton_model="flight_delay_v2")
    state = RolloutState(
        epoch=1, generation=1, phase="canary", arms=Arms(baseline=ARM, canary=other), canary_weight_bp=2500
    )
    assert answering(state) == ARM
    assert answering(msgspec.structs.replace(state, phase="promoted", canary_weight_bp=10_000)) == other
    assert answering(RolloutState(epoch=1, generation=1, phase="stable", arms=Arms(baseline=ARM))) == ARM


@pytest.mark.integration  # it trains
def test_past_windows_are_scored_by_models_that_have_not_seen_them(tmp_path: Path) -> None:
    start = date(2013, 1, 1)
    write_partitioned(tmp_path, start, start + timedelta(days=50))
    contract = msgspec.structs.replace(
        synthetic_model().contract,
        inputs=synthetic_inputs(),
        training_start="2012-12-31T23:00:00+00:00",
        training_end="2013-02-18T23:00:00+00:00",
    )
    assert trained_days(contract) == (start, date(2013, 2, 19))
    past = fitted_past(tmp_path, contract, RecipeName.lightgbm, POLICY)
    assert (past.model, past.recipe, past.first, past.end) == (contract.model, "lightgbm", *trained_days(contract))
    assert [window.first for window in past.windows] == [date(2013, 2, 4), date(2013, 2, 11)]
    assert [window.health.rows for window in past.windows] == [840, 840]
    for window in past.windows:
        assert window.health.auc is not None
        # seen rows would be told apart almost without an error
        assert 0.6 < window.health.auc < 0.85
    assert not is_usual(past, contract.model, POLICY)
