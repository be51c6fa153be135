"""The population stability index as Evidently computes it, fast enough for every column of every past window.

Of sorted values a histogram is a binary search an edge; the reference is sorted once, whatever it is compared with.
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
    """One column of the reference, prepared: `values` ascending, [n], no NaN.

    `distinct` are its values once each where they are compared one by one; None where they are binned.
    """

    values: Values
    distinct: Values | None

    @classmethod
    def of(cls, values: Values) -> "ReferenceColumn":
        """Prepare a column, [n] with n at least 1, without NaN."""
        ascending, distinct = np.sort(values), np.unique(values)
        few = ascending.dtype == object or len(distinct) <= FEW_VALUES
        return cls(ascending, distinct if few else None)

    def psi(self, current: Values) -> float:
        """See `psi`."""
        binned = self._binned(current) if self.distinct is None else self._by_value(current, self.distinct)
        return _index(*binned)

    def _by_value(self, current: Values, distinct: Values) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        values, counts = np.unique(current, return_counts=True)
        both = np.union1d(distinct, values)
        seen = np.zeros(len(both), np.int64)
        seen[np.searchsorted(both, values)] = counts
        upto = np.searchsorted(self.values, both, "right")
        return np.diff(upto, prepend=0), seen

    def _binned(self, current: Values) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        ascending = np.sort(current)
        edges = self._edges(ascending)
        return _counted(self.values, edges), _counted(ascending, edges)

    def _edges(self, ascending: Values) -> Values:
        """Sturges' bins over both samples together, as numpy.histogram_bin_edges makes them of the concatenation."""
        dtype = np.result_type(self.values, ascending)
        low, high = np.array([min(self.values[0], ascending[0]), max(self.values[-1], ascending[-1])], dtype)
        width = (high - low) / (np.log2(len(self.values) + len(ascending)) + 1)
        return np.linspace(low, high, int(np.ceil((high - low) / width)) + 1, dtype=dtype)


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


def _counted(ascending: Values, edges: Values) -> NDArray[np.int64]:
    """numpy.histogram of sorted values: every bin without its upper edge, but for the last."""
    upto = np.searchsorted(ascending, edges, "left")
    upto[-1] = np.searchsorted(ascending, edges[-1], "right")
    return np.diff(upto)


def _index(reference: NDArray[np.int64], current: NDArray[np.int64]) -> float:
    p, q = _filled(reference / reference.sum()), _filled(current / current.sum())
    return float(np.sum((p - q) * np.log(p / q)))


def _filled(shares: NDArray[np.float64]) -> NDArray[np.float64]:
    smallest = shares[shares > 0].min()
    return np.where(shares == 0, smallest / 1e6 if smallest <= 1e-4 else 1e-4, shares)
