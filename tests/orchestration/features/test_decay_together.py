"""Sums of many series taken step by step together are those of each alone, to the bit."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestration.features import decay
from orchestration.features.decay import _decayed_sums


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(1, 30), max_size=40), st.integers(0, 10_000))
def test_both_ways_give_the_same_bits(lengths: list[int], seed: int) -> None:
    rng = np.random.default_rng(seed)
    series = np.repeat(np.arange(len(lengths)), lengths)
    factor = rng.random(len(series))
    factor[np.flatnonzero(np.r_[True, series[1:] != series[:-1]]) if len(series) else []] = 0.0
    terms = rng.normal(size=(len(series), 3))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(decay, "TOGETHER", 0)
        together = _decayed_sums(factor, terms, series)
        patch.setattr(decay, "TOGETHER", 10**9)
        alone = _decayed_sums(factor, terms, series)
    assert together.shape == alone.shape == terms.shape
    assert together.tobytes() == alone.tobytes()
