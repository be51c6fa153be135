"""The load: wrk with prepared requests over keep-alive connections, each asking again as soon as it is answered."""

import json
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

SCRIPT = Path(__file__).with_name("load.lua")
PROGRAM = "wrk"
MISSING = "no wrk, which makes the load: as root, apt-get install wrk"


class LoadError(Exception):
    """wrk failed; the message is its own."""


@dataclass(frozen=True)
class Seen:
    """What wrk saw: `requests` answered well in `seconds`, errors of any kind, latencies in microseconds."""

    requests: int
    seconds: float
    p50_us: float
    p99_us: float
    errors: int


def available() -> bool:
    """Whether wrk is installed."""
    return shutil.which(PROGRAM) is not None


def load(port: int, requests: Path, *, connections: int, seconds: int, first: int) -> Seen:
    """Ask 127.0.0.1:`port` for `seconds`, beginning with the request at `first`. Raises LoadError."""
    command = [PROGRAM, "--threads", "1", "--connections", connections, "--duration", f"{seconds}s", "--timeout", "5s"]
    command += ["--script", SCRIPT, f"http://127.0.0.1:{port}", "--", requests, first]
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False)
    lines = done.stdout.splitlines()
    if done.returncode or not lines or not lines[-1].startswith("{"):
        raise LoadError(f"wrk ended with {done.returncode}: {(done.stderr or done.stdout).strip()[-500:]}")
    return _seen(lines[-1])


def _seen(line: str) -> Seen:
    found = json.loads(line)
    seconds = found["duration_us"] / 1e6
    return Seen(found["requests"], seconds, found["p50_us"], found["p99_us"], found["errors"])
