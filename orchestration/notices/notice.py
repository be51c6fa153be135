"""What a notice says."""

from datetime import datetime
from typing import Annotated, Literal

from msgspec import Meta, Struct

# SEV1: users are harmed or unprotected now. SEV2: a model was convicted or stopped. SEV3: work is late or failed.
Severity = Literal["SEV1", "SEV2", "SEV3"]


class Notice(Struct, frozen=True, kw_only=True):
    """One thing that happened. `link` is where to look first; `time` is the wall clock."""

    severity: Severity
    title: str
    text: str
    link: str
    time: Annotated[datetime, Meta(tz=True)]
