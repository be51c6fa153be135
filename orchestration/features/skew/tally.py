"""What is counted of an input while a day's rows go by."""

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from orchestration.features.skew.compare import Values, equal, exact
from orchestration.features.skew.reasons import reasons
from orchestration.features.skew.report import HOURS, FeatureSkew, LargestDifference
from serving_gateway.contracts.model import Input, RequestField, stored_features


@dataclass(frozen=True)
class Compared:
    """One input of some rows: float32 [rows] as served and offline, and FACTS of what differs."""

    input: Input
    rows: pl.DataFrame
    served: Values
    offline: Values
    facts: pl.DataFrame


class Tally:
    """One input's counts, by hour of event time (UTC)."""

    def __init__(self, i: Input) -> None:
        self._input = i
        self._exact = 0
        self._hours = np.zeros((2, HOURS), np.int64)  # rows, differing
        self._facts: list[pl.DataFrame] = []
        self._largest: tuple[float, LargestDifference] | None = None

    def add(self, compared: Compared) -> None:
        """Count these rows too."""
        served, offline = compared.served, compared.offline
        differs = ~equal(served, offline)
        self._exact += int(exact(served, offline).sum())
        hour = compared.rows["event_timestamp"].dt.hour().to_numpy()
        self._hours += np.stack([np.bincount(hour, minlength=HOURS), np.bincount(hour[differs], minlength=HOURS)])
        self._facts.append(compared.facts)
        if differs.any():
            found = _largest(compared, differs)
            if self._largest is None or found[0] > self._largest[0]:
                self._largest = found

    def result(self) -> FeatureSkew:
        """The input over all rows that were added, with what its differences look like."""
        rows, differing = self._hours
        found = pl.concat(self._facts).sort("event_timestamp", maintain_order=True)
        return FeatureSkew(
            feature=self._input.name,
            source=_source(self._input),
            rows=int(rows.sum()),
            exact=self._exact,
            differing=int(differing.sum()),
            reasons=reasons(found),
            largest=self._largest[1] if self._largest else None,
            differing_by_hour=differing.tolist(),
            rows_by_hour=rows.tolist(),
        )


def _largest(compared: Compared, differs: NDArray[np.bool_]) -> tuple[float, LargestDifference]:
    """The greatest difference and its row; where every difference is to a missing value, -1 and the first of these."""
    with np.errstate(invalid="ignore"):
        size = np.abs(compared.served.astype(np.float64) - compared.offline.astype(np.float64))
    size = np.where(differs, np.nan_to_num(size, nan=-1.0), -2.0)
    at = int(size.argmax())
    row = compared.rows.row(at, named=True)
    return float(size[at]), LargestDifference(
        prediction_id=row["prediction_id"],
        event_time=row["event_timestamp"].isoformat(),
        entities={entity["name"]: entity["value"] for entity in row["entities"]},
        served=_or_none(compared.served[at]),
        offline=_or_none(compared.offline[at]),
    )


def _or_none(value: np.float32) -> float | None:
    return None if np.isnan(value) else float(value)


def _source(i: Input) -> str:
    if isinstance(i.source, RequestField):
        return f"request field {i.source.field}"
    return ", ".join(f"{view}:{feature}" for view, feature in stored_features(i.source))
