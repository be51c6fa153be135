"""One spool segment: a file of frames that is appended to, recovered, and deleted when its records have landed."""

import logging
import os
from dataclasses import dataclass
from pathlib import Path

from serving_gateway.contracts.prediction_log import read_frames

SUFFIX = ".seg"
_log = logging.getLogger(__name__)


@dataclass
class Segment:
    """`size`: bytes of whole frames in the file; `shipped`: up to where they are in the stream."""

    path: Path
    size: int = 0
    shipped: int = 0

    @property
    def name(self) -> str:
        """Its identity in the stream and in the landed offsets: unique over gateways and their lives."""
        return self.path.stem

    def read(self, limit: int) -> tuple[list[bytes], int]:
        """Payloads of the frames after `shipped`, up to about `limit` bytes, and the offset behind the last one."""
        with self.path.open("rb") as file:
            file.seek(self.shipped)
            payloads, taken = read_frames(file.read(min(limit, self.size - self.shipped)))
            if not payloads and self.shipped < self.size:  # one frame larger than the limit
                file.seek(self.shipped)
                payloads, taken = read_frames(file.read(self.size - self.shipped))
        return payloads, self.shipped + taken


def recovered(path: Path) -> Segment | None:
    """A segment that another process left: its torn tail is cut; None (and deleted) when nothing is left."""
    _, whole = read_frames(path.read_bytes())
    torn = path.stat().st_size - whole
    if torn:
        _log.warning("cut a torn tail of %d bytes off spool segment %s", torn, path.name)
        os.truncate(path, whole)
    if not whole:
        path.unlink()
        return None
    return Segment(path, whole)
