"""One PLATFORM_HOME belongs to one running platform."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from orchestration.embedded.environment import NotReadyToStartError


class HomeTakenError(NotReadyToStartError):
    """Another platform runs on this home."""


@contextmanager
def claim(home: Path) -> Iterator[int]:
    """Lock `home`; yields the descriptor. The lock lasts as long as any process has the descriptor open.

    The kernel drops it with its last holder, so a crash leaves no stale lock. Raises HomeTakenError when another platform
    has `home`, NotReadyToStartError when it cannot be written.
    """
    path = home / "platform.lock"
    try:
        home.mkdir(parents=True, exist_ok=True)
        held = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise NotReadyToStartError(f"PLATFORM_HOME cannot be used: {error}") from error
    try:
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise HomeTakenError(
                f"a platform already runs on {home}, started by process {path.read_text().strip()}: "
                "stop it, or set PLATFORM_HOME to another folder"
            ) from error
        os.ftruncate(held, 0)
        os.pwrite(held, str(os.getpid()).encode(), 0)
        yield held
    finally:
        os.close(held)
