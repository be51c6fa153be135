"""UUIDv7: ids that sort by time (RFC 9562, section 5.7)."""

import os
import re
import time

_UUID7 = re.compile(r"([0-9a-f]{8})-([0-9a-f]{4})-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
_POOL_BYTES = 10 * 512  # a system call for every id would cost as much as the rest of it


class _Entropy:
    """The system's random bytes, fetched many at a time. A forked child must not go on with its parent's."""

    def __init__(self) -> None:
        self.refill()
        os.register_at_fork(after_in_child=self.refill)

    def refill(self) -> None:
        self._bytes, self._at = os.urandom(_POOL_BYTES), 0

    def take(self) -> int:
        """80 random bits, each given once."""
        if self._at == _POOL_BYTES:
            self.refill()
        at, self._at = self._at, self._at + 10
        return int.from_bytes(self._bytes[at : at + 10], "big")


_entropy = _Entropy()


def uuid7(now_ms: int | None = None) -> str:
    """A new id of 48 bits of UNIX milliseconds and 74 random bits."""
    milliseconds = time.time_ns() // 1_000_000 if now_ms is None else now_ms
    random = _entropy.take()
    number = (
        (milliseconds & (1 << 48) - 1) << 80
        | 0x7 << 76
        | (random >> 62 & 0xFFF) << 64
        | 0b10 << 62
        | random & (1 << 62) - 1
    )
    text = f"{number:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def made_ms(identifier: str) -> int:
    """When `identifier` was made, in UNIX milliseconds. Raises ValueError for what `uuid7` cannot have returned."""
    match = _UUID7.fullmatch(identifier)
    if match is None:
        raise ValueError("not a UUIDv7 in lower case")
    return int(match[1] + match[2], 16)
