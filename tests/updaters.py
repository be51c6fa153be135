"""The live updater as a process, for tests."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from subprocess import Popen
from unittest import mock

from tests.servers import answers_200, free_port, running


@contextmanager
def updater(home: Path, redis_url: str, **environment: str) -> Iterator["Popen[bytes]"]:
    """`python -m orchestration.features.live` over `home` as PLATFORM_HOME, until the block ends."""
    port = free_port()
    wanted = {"PLATFORM_HOME": str(home), "REDIS_URL": redis_url, "UPDATER_PORT": str(port), **environment}
    command: list[object] = [sys.executable, "-m", "orchestration.features.live"]
    with (
        mock.patch.dict(os.environ, wanted),
        running(
            "updater", command, home, lambda: answers_200(f"http://127.0.0.1:{port}/health"), timeout_s=30
        ) as process,
    ):
        yield process
