from datetime import date, timedelta

import pytest

from orchestration.backtest.plan import Plan


def test_weekly_retraining_has_a_model_for_each_of_39_weeks() -> None:
    plan = Plan()
    assert len(plan.mondays) == 39
    assert plan.mondays[0] == plan.start
    assert plan.quarters == 3


def test_faults_begin_at_the_same_moments_every_time_and_leave_room() -> None:
    plan = Plan()
    moments = plan.fault_moments()
    assert moments == Plan().fault_moments()
    assert len(set(moments)) == plan.dates >= 5
    assert moments == sorted(moments)
    assert plan.start + timedelta(days=21) <= moments[0].date()
    assert moments[-1].date() <= plan.end - timedelta(days=21)


@pytest.mark.parametrize(("start", "end"), [(date(2013, 4, 2), date(2013, 4, 9)), (date(2013, 4, 8), date(2013, 4, 8))])
def test_a_replay_is_of_whole_weeks(start: date, end: date) -> None:
    with pytest.raises(ValueError, match="Monday"):
        Plan(start=start, end=end)
