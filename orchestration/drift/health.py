"""The last verdict on the model's health, as its own report left it under reports/health."""

from pathlib import Path

import msgspec
from msgspec import Struct

from orchestration.drift.figures import Said


def last_health(reports: Path) -> Said | None:
    """The verdict in `reports`/health/latest.json, with the model and the event time; None where there is no such file.

    Raises:
        ValueError: the file holds no verdict; the message names it and the field.
    """
    path = reports / "health" / "latest.json"
    if not path.exists():
        return None
    try:
        found = msgspec.json.decode(path.read_bytes(), type=_Health)
    except msgspec.MsgspecError as error:
        raise ValueError(f"{path} is no report on the model's health: {error}") from error
    about = f"{found.triton_model} as of {found.as_of[:16].replace('T', ' ')}"
    return Said(outcome=found.verdict.outcome, reason=f"{about}: {found.verdict.reason}")


class _Health(Struct):
    verdict: Said
    triton_model: str
    as_of: str
