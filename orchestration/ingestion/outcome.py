"""What a step over a range of days made of each of them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date


@dataclass(frozen=True)
class Outcome:
    """Days that were written, with their rows, and days that were held back, with the reason; no day is in both.

    `parts` splits the rows another way, where there is one: by feature view.
    """

    rows: Mapping[date, int]
    held: Mapping[date, str]
    parts: Mapping[str, int] = field(default_factory=dict)
