"""The others' rules, on data that they were made for."""

import numpy as np
import pytest

from orchestration.rollout.simulation import rivals
from orchestration.rollout.simulation.rivals import flagger_after, ks_after, z_after, z_at_end

RNG = np.random.default_rng(5)


def test_a_single_z_test_holds_its_level_where_rows_do_not_depend_on_each_other() -> None:
    rejected = [z_at_end(*RNG.normal(size=(2, 500))) for _ in range(1000)]
    assert 0.03 <= np.mean(rejected) <= 0.07


def test_looked_at_after_every_row_it_does_not() -> None:
    canary, control = RNG.normal(size=(2, 300, 3000))
    assert 0.2 < np.isfinite(z_after(canary, control)).mean() < 0.7


def test_it_stops_where_the_test_first_rejects() -> None:
    canary, control = RNG.normal(0.3, 1, 400), RNG.normal(0, 1, 400)
    stop = int(z_after(canary, control))

    def z(n: int) -> float:
        error = np.sqrt((canary[:n].var() + control[:n].var()) / n)
        return float((canary[:n].mean() - control[:n].mean()) / error)

    assert z(stop) >= rivals.Z_ONE_SIDED
    assert all(z(n) < rivals.Z_ONE_SIDED for n in range(rivals.FIRST_LOOK, stop))


def test_rows_that_do_not_vary_are_never_rejected() -> None:
    assert z_after(np.zeros(100), np.zeros(100)) == np.inf


@pytest.mark.parametrize("shift", [0.0, 0.1, 0.5])
def test_kolmogorov_smirnov_rejects_where_its_p_value_does(shift: float) -> None:
    from scipy import stats  # type: ignore[import-untyped]

    canary, control = RNG.normal(shift, 1, (40, rivals.WINDOW)), RNG.normal(0, 1, (40, rivals.WINDOW))
    for one, other, stop in zip(canary, control, ks_after(canary, control), strict=True):
        p = stats.ks_2samp(one, other, method="asymp").pvalue
        if abs(p - rivals.LEVEL) > 0.01:  # the library's asymptotics are finer
            assert np.isfinite(stop) == (p < rivals.LEVEL)


def test_flaggers_fifth_failed_check_rolls_back() -> None:
    minute = rivals.REQUESTS_A_MINUTE
    failed = np.zeros((2, 10 * minute), dtype=bool)
    failed[0, [0, minute, 3 * minute, 4 * minute, 8 * minute]] = True  # one failure in 60 is below 99 %
    failed[1, :4] = True
    assert flagger_after(failed).tolist() == [9 * minute, np.inf]
