"""The population stability index as Evidently computes it, fast enough for every column of every past window.

The reference is sorted once: a histogram of it is then a binary search an edge, whatever window it is compared with.
Evidently 0.7's own: `evidently.legacy.calculations.stattests.psi` and `.utils.get_binned_data`.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

# Numbers, or text as objects; a value a row, ascending or not.
Values = NDArray[Any]
# A column of numbers with no more distinct values in the reference is compared value by value.
FEW_VALUES = 20


@dataclass(frozen=True)
class ReferenceColumn:
    """One column of the reference, prepared: `values` ascending, [n], no NaN; `few`: they are compared one by one."""

    values: Values
    few: bool

    @classmethod
    def of(cls, values: Values) -> "ReferenceColumn":
        """Prepare a column, [n] with n at least 1, without NaN."""
        ascending = np.sort(values)
        return cls(ascending, ascending.dtype == object or bool(np.count_nonzero(np.diff(ascending)) < FEW_VALUES))

    def psi(self, current: Values) -> float:
        """See `psi`."""
        return _index(*(self._by_value(current) if self.few else self._binned(current)))

    def _by_value(self, current: Values) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        values, counts = np.unique(current, return_counts=True)
        both = np.union1d(self.values, values)
        seen = np.zeros(len(both), np.int64)
        seen[np.searchsorted(both, values)] = counts
        upto = np.searchsorted(self.values, both, "right")
        return np.diff(upto, prepend=0), seen

    def _binned(self, current: Values) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        edges = self._edges(current)
        below = np.searchsorted(self.values, edges[:-1], "left")
        last = np.searchsorted(self.values, edges[-1], "right")
        # By their number and range the edges are the same, and numpy then divides instead of sorting the values.
        seen, _ = np.histogram(current, len(edges) - 1, (edges[0], edges[-1]))
        return np.diff(below, append=last), seen

    def _edges(self, current: Values) -> Values:
        """Sturges' bins over both samples together, as numpy.histogram_bin_edges makes them of the concatenation."""
        low, high = min(self.values[0], current.min()), max(self.values[-1], current.max())
        ends = np.array([low, high], np.result_type(self.values, current))
        distance = ends[1] - ends[0]
        width = distance / (np.log2(len(self.values) + len(current)) + 1)
        return np.histogram_bin_edges(ends, int(np.ceil(distance / width)))


def psi(reference: Values, current: Values) -> float:
    """PSI, >= 0, of two samples of one column, numbers or text; each holds a value at least, and no NaN.

    Sum over bins of (p - q) ln(p / q). The bins are Sturges' over both samples together, or the values themselves where
    the reference has few. An empty bin counts as 1e-4, or as a millionth of the smallest other where that is smaller.
    """
    return ReferenceColumn.of(reference).psi(current)


def known_values(column: pl.Series) -> Values:
    """The values of a column without nulls and NaN; text as objects."""
    values = column.fill_nan(None) if column.dtype.is_float() else column
    return values.drop_nulls().to_numpy()


def prepared(reference: pl.DataFrame, names: Iterable[str]) -> dict[str, ReferenceColumn]:
    """These columns of a reference window, but for those without values."""
    found = {name: known_values(reference[name]) for name in names}
    return {name: ReferenceColumn.of(values) for name, values in found.items() if len(values)}


def scores(reference: dict[str, ReferenceColumn], window: pl.DataFrame) -> dict[str, float]:
    """PSI of a window's columns against the reference's, but for those without values in either."""
    found = {name: known_values(window[name]) for name in reference}
    return {name: reference[name].psi(values) for name, values in found.items() if len(values)}


def _index(reference: NDArray[np.int64], current: NDArray[np.int64]) -> float:
    p, q = _filled(reference / reference.sum()), _filled(current / current.sum())
    return float(np.sum((p - q) * np.log(p / q)))


def _filled(shares: NDArray[np.float64]) -> NDArray[np.float64]:
    smallest = shares[shares > 0].min()
    return np.where(shares == 0, smallest / 1e6 if smallest <= 1e-4 else 1e-4, shares)
