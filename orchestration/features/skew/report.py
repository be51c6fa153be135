"""The skew report of a day: every feature's served values against the offline ones, and what the differences look like."""

from msgspec import Struct

from orchestration.features.skew.reasons import LATE_DATA, Reason

HOURS = 24


class LargestDifference(Struct, frozen=True, kw_only=True):
    """The row in which a feature differs most; a value is None where it was missing (NaN)."""

    prediction_id: str
    event_time: str
    entities: dict[str, str]
    served: float | None
    offline: float | None


class FeatureSkew(Struct, frozen=True, kw_only=True):
    """One input over the day. `reasons` have the most frequent first; their rows are estimates above EXPLAINED_ROWS."""

    feature: str
    source: str
    rows: int
    exact: int
    differing: int
    reasons: list[Reason] = []
    largest: LargestDifference | None = None
    differing_by_hour: list[int] = []
    rows_by_hour: list[int] = []

    @property
    def share(self) -> float:
        """Of the compared rows, those that differ."""
        return self.differing / self.rows if self.rows else 0.0

    @property
    def late_rows(self) -> float:
        """Differing rows that look like late data."""
        return sum(reason.rows for reason in self.reasons if reason.name in LATE_DATA)


class SkewReport(Struct, frozen=True, kw_only=True):
    """A day, [start, end) in event time (ISO 8601). `rows` were compared of the `logged`; `apart` counts the others by name.

    `left_out` says of inputs why they could not be recomputed.
    """

    day: str
    start: str
    end: str
    logged: int
    rows: int
    apart: dict[str, int]
    left_out: dict[str, str] = {}
    features: list[FeatureSkew] = []

    @property
    def differing(self) -> list[FeatureSkew]:
        """The features that differ anywhere, by share, greatest first."""
        return sorted((f for f in self.features if f.differing), key=lambda f: -f.share)
