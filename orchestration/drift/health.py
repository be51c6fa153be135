"""The last verdict on the model's health, as its own report left it under reports/health."""

from pathlib import Path

import msgspec
from msgspec import Struct

from orchestration.drift.figures import Said


def last_health(reports: Path) -> Said | None:
    """The verdict in the newest JSON file of `reports`/health; None where there is none.

    Raises:
        ValueError: the file holds no verdict; the message names it and the field.
    """
    found = sorted((reports / "health").glob("*.json"), key=lambda path: path.stat().st_mtime_ns)
    if not found:
        return None
    try:
        return msgspec.json.decode(found[-1].read_bytes(), type=_Health).verdict
    except msgspec.MsgspecError as error:
        raise ValueError(f"{found[-1]} is no report on the model's health: {error}") from error


class _Health(Struct):
    verdict: Said
