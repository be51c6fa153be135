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
def updater(home: Path, redis_url: str, **environment: str) -> Iterator[tuple["Popen[bytes]", str]]:
    """`python -m orchestration.features.live` over `home` as PLATFORM_HOME, and its address, until the block ends."""
    port = free_port()
    wanted = {"PLATFORM_HOME": str(home), "REDIS_URL": redis_url, "UPDATER_PORT": str(port), **environment}
    address = f"http://127.0.0.1:{port}"
    command: list[object] = [sys.executable, "-m", "orchestration.features.live"]
    with (
        mock.patch.dict(os.environ, wanted),
        running("updater", command, home, lambda: answers_200(f"{address}/health"), timeout_s=60) as process,
    ):
        yield process, address
