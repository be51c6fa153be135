"""What the figures were measured on."""

import os
import platform
import re
import subprocess
from importlib.metadata import version
from pathlib import Path

from tests.bench.targets import BENCH_BIN, nginx_program
from tests.servers import ROOT


def processor() -> str:
    """Processor and memory, and how busy it is already."""
    cores, memory = os.cpu_count(), os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return f"{cores} cores of {_processor()}, {memory:.0f} GiB, load average before the run {os.getloadavg()[0]:.1f}"


def facts() -> list[str]:
    """The machine, and versions of what the gateway is measured with."""
    return [
        processor(),
        f"Python {platform.python_version()}, uvloop {version('uvloop')}, {_triton()}, onnxruntime {version('onnxruntime')}",
        ", ".join(found for found in (_fastapi(), _nginx(), _wrk()) if found),
    ]


def _processor() -> str:
    names = re.findall(r"^model name\s*: (.*)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    return names[0].strip() if names else platform.machine()


def _triton() -> str:
    found = re.search(
        r"^nvidia-pytriton==([\d.]+)", (ROOT / "triton_models" / "requirements.lock").read_text(), re.MULTILINE
    )
    return f"Triton of nvidia-pytriton {found[1]}" if found else ""


def _fastapi() -> str:
    ask = "from importlib.metadata import version as v; print('FastAPI', v('fastapi') + ', uvicorn', v('uvicorn'))"
    return _first_line([BENCH_BIN / "python", "-c", ask]) if (BENCH_BIN / "python").exists() else ""


def _nginx() -> str:
    program = nginx_program()
    return _first_line([program, "-v"]).removeprefix("nginx version: ") if program else ""


def _wrk() -> str:
    return " ".join(_first_line(["wrk", "--version"]).split()[:2])


def _first_line(command: list[object]) -> str:
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False)
    return (done.stdout + done.stderr).splitlines()[0]
