"""What a check found, and where the runbook goes on from there."""

from dataclasses import dataclass
from typing import Literal

State = Literal["ok", "attention", "down"]
# The headings of docs/runbook.md that findings point to.
Section = Literal[
    "2. Immediate checks",
    "3.1 Gateway",
    "3.2 Triton",
    "3.3 Online features",
    "3.4 Dagster",
    "3.5 Prediction log",
    "3.6 Drift",
    "3.7 MLflow",
    "3.9 Alerts",
    "7. After the incident",
]


@dataclass(frozen=True)
class Finding:
    """`down`: nobody is answered, or a process is gone. `attention`: it answers, and somebody should look."""

    check: str
    state: State
    says: str
    section: Section


def duration(seconds: float) -> str:
    """A length of time as a person says it; negative ones too."""
    minutes = abs(seconds) / 60
    if minutes < 2:
        return f"{seconds:.0f} s"
    if minutes < 120:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.0f} h" if minutes < 48 * 60 else f"{seconds / 86400:.0f} days"
