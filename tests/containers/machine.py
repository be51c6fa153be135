"""The services of docker-compose.yml as processes of this machine: each with its own command, environment, mounts and check.

What a container has for itself is moved: hosts become 127.0.0.1, ports free ones, and what is mounted lies under a folder for
each service. Programs of other people's images are Debian's and the wheels'; nothing else of a service is changed.
"""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from orchestration.settings import Settings
from tests.containers.compose import OURS, SERVICES, check, interpolated, mounts
from tests.containers.test_images import STAGES
from tests.servers import BIN, ROOT, free_port

# Ports inside that no setting of ours names.
FURTHER_PORTS = ("5432",)
# What their images' entry points start.
PROGRAMS = {"prometheus": ("prometheus",), "alertmanager": ("prometheus-alertmanager", "alertmanager")}


@dataclass
class Process:
    """A service that was started."""

    popen: subprocess.Popen[bytes]
    log: Path

    def end_of_log(self) -> str:
        return self.log.read_text(errors="replace")[-3000:]


@dataclass
class Machine:
    """`folder` holds everything; `pythons` names an environment other than this one for an image of ours."""

    folder: Path
    pythons: Mapping[str, Path] = field(default_factory=dict)
    variables: Mapping[str, str] = field(default_factory=dict)
    processes: dict[str, Process] = field(default_factory=dict)

    def __post_init__(self) -> None:
        defaults = {str(port) for port in Settings.port_defaults().values()}
        self.ports = {port: str(free_port()) for port in sorted(defaults | set(FURTHER_PORTS))}

    def image(self, service: str) -> Path:
        """The working directory: for a service of ours, a folder of what its image copies from the checkout."""
        definition = SERVICES[service]
        if service not in OURS:
            return self.root(service) / definition.get("working_dir", "/").removeprefix("/")
        folder = self.folder / "images" / definition["image"]
        if not folder.exists():
            for source in STAGES[definition["build"]["target"]].copied():
                _copy(ROOT / source, folder / source)
        return folder

    def root(self, service: str) -> Path:
        """What stands for the service's own file system, with what it mounts."""
        root = self.folder / "roots" / service
        for inside, (outside, _) in sorted(mounts(service).items()):
            place = root / inside.removeprefix("/")
            source = ROOT / outside if outside.startswith(".") else self.folder / "volumes" / outside
            if not outside.startswith("."):
                source.mkdir(parents=True, exist_ok=True)
            place.parent.mkdir(parents=True, exist_ok=True)
            if not place.exists():
                place.symlink_to(source)
        (root / "tmp").mkdir(parents=True, exist_ok=True)
        secrets = root / "run" / "secrets"
        secrets.mkdir(parents=True, exist_ok=True)
        for name in SERVICES[service].get("secrets", []):
            if not (secrets / name).exists():
                (secrets / name).symlink_to(self.folder / "secrets" / name)
        return root

    def moved(self, service: str, text: str) -> str:
        """`text` of the service's with hosts, ports and paths of this machine."""
        root = self.root(service)
        tops = {inside.split("/")[1] for inside in mounts(service)} | {"tmp", "run", "opt"}
        text = re.sub(rf"(?<![\w./:-])/({'|'.join(sorted(tops))})(?=/|$)", rf"{root}/\1", text)
        text = re.sub(rf"(?<![\w.-])({'|'.join(sorted(SERVICES, key=len, reverse=True))})(?=:\d)", "127.0.0.1", text)
        text = re.sub(rf"(?<![\w.])({'|'.join(self.ports)})(?![\w.])", lambda found: self.ports[found[1]], text)
        return text.replace("0.0.0.0", "127.0.0.1")

    def words(self, service: str, words: list[str]) -> list[str]:
        """A command's words, moved; a service's name after an option that ends in `host` is a host."""
        hosts = {i for i, word in enumerate(words[1:], 1) if words[i - 1].endswith("host") and word in SERVICES}
        return ["127.0.0.1" if i in hosts else self.moved(service, word) for i, word in enumerate(words)]

    def environment(self, service: str) -> dict[str, str]:
        """What the image sets, and what the file sets: nothing of this process but where its programs are."""
        given = interpolated(SERVICES[service].get("environment", {}), self.variables)
        ports = {name.upper(): self.ports[str(port)] for name, port in Settings.port_defaults().items()}
        python = self.pythons.get(SERVICES[service]["image"], BIN)
        image = {
            "PATH": f"{python}:{os.environ['PATH']}",
            "PYTHONPATH": str(self.image(service)),
            "PYTHONUNBUFFERED": "1",
            "PYTHONDONTWRITEBYTECODE": "1",
            "HOME": str(self.root(service) / "tmp"),
        }
        return image | ports | {name: self.moved(service, value) for name, value in given.items()}

    def command(self, service: str) -> list[str]:
        """The entry point and the command."""
        definition = SERVICES[service]
        program = next(filter(None, map(shutil.which, PROGRAMS.get(service, ()))), None)
        words = [*definition.get("entrypoint", []), *([program] if program else []), *definition["command"]]
        return self.words(service, words)

    def start(self, service: str, environment: Mapping[str, str] | None = None) -> None:
        """Start its process; `environment` is what its image sets besides."""
        log = self.folder / f"{service}.log"
        with log.open("ab") as output:
            popen = subprocess.Popen(
                self.command(service),
                cwd=self.image(service),
                env={**self.environment(service), **(environment or {})},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        self.processes[service] = Process(popen, log)

    def healthy(self, service: str) -> bool:
        """Whether its check passes now."""
        environment = self.environment(service)
        words = self.words(service, check(service))
        words[0] = shutil.which(words[0], path=environment["PATH"]) or sys.exit(f"{words[0]} is not on PATH")
        done = subprocess.run(
            words, cwd=self.image(service), env=environment, capture_output=True, timeout=60, check=False
        )
        return done.returncode == 0

    def stop(self) -> None:
        """End every process and what it started."""
        for ask, timeout_s in ((signal.SIGTERM, 6.0), (signal.SIGKILL, 5.0)):  # Dagster's daemon takes its time
            deadline = time.monotonic() + timeout_s
            for process in self.processes.values():
                _signal(process.popen.pid, ask)
            for process in self.processes.values():
                try:
                    process.popen.wait(max(0.1, deadline - time.monotonic()))
                except subprocess.TimeoutExpired:
                    continue


def _copy(source: Path, place: Path) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        shutil.copytree(source, place, ignore=shutil.ignore_patterns("__pycache__"))
    else:
        shutil.copyfile(source, place)


def _signal(group: int, ask: signal.Signals) -> None:
    try:
        os.killpg(group, ask)
    except ProcessLookupError:
        return
