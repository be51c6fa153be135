"""What the embedded profile's processes need before they start: folders, free ports, environment variables."""

import os
import secrets
import shutil
import socket
import subprocess
import sys
from pathlib import Path

from orchestration.embedded.alerting import AlertingError, prepare_alerting, spare_ports
from orchestration.embedded.programs import socket_path
from orchestration.redis_programs import redis_program
from orchestration.settings import ROOT, Settings
from triton_models.backends import Backends

QUIET = {
    "DO_NOT_TRACK": "true",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "EVIDENTLY_DISABLE_TELEMETRY": "1",
    "DAGSTER_DISABLE_TELEMETRY": "1",
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",  # we run no MLflow jobs; their workers cost memory and seconds
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
}


class NotReadyToStartError(Exception):
    """Something on this machine stands in the way; the message says what to do."""


def check_ports(settings: Settings) -> None:
    """Raise NotReadyToStartError naming the first taken port and the variable that moves it."""
    for name in Settings.port_defaults().keys() - spare_ports() - _elsewhere(settings):
        port = getattr(settings, name)
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError as error:
                raise NotReadyToStartError(
                    f"port {port} is taken: stop what listens there, or set {name.upper()} to a free port"
                ) from error


def prepare(settings: Settings) -> dict[str, str]:
    """Make the folders under PLATFORM_HOME; returns the environment of the supervised processes.

    Raises NotReadyToStartError for a folder whose name supervisord.conf or a database address cannot carry, or that
    cannot be made, for a secret's file that is not there, and for backends that no Triton is named for.
    """
    triton_is_here = not _elsewhere(settings)
    folders = {"PLATFORM_HOME": settings.home, "REPORTS_PATH": settings.reports}
    for name, folder in folders.items():
        if unfit := [character for character in str(folder) if character in '%"\\?' or not character.isprintable()]:
            raise NotReadyToStartError(f"{name} must not contain {unfit[0]!r}: {str(folder)!r}")
    for needed in ("log", "redis", "mlflow", "triton/repository", "dagster", "gateway", "lake", "feast"):
        (settings.home / needed).mkdir(parents=True, exist_ok=True)
    try:
        (settings.reports / "drift").mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise NotReadyToStartError(f"REPORTS_PATH cannot be used: {error}") from error
    shutil.copyfile(Path(__file__).parent / "dagster.yaml", settings.home / "dagster" / "dagster.yaml")
    try:
        alerting = prepare_alerting(settings)
    except AlertingError as error:
        raise NotReadyToStartError(str(error)) from error
    event_clock = os.environ.get("EVENT_CLOCK", "replay")
    settings.event_clock.write_text(event_clock)
    return {
        **_admin_token(settings),
        **alerting,
        **command_environment(settings),
        "EVENT_CLOCK": event_clock,
        "TRITON_IS_HERE": str(triton_is_here).lower(),
        "REPORTS_PATH": str(settings.reports),
        "REDIS_SERVER": _redis_server(),
        "SUPERVISOR_SOCKET": str(socket_path(settings.home)),
        "REDIS_CONNECTION": f"127.0.0.1:{settings.redis_port}",
        "FEAST_REGISTRY": settings.feast_registry,
        "PYTHON": sys.executable,
        "PYTHONPATH": str(ROOT),
        "PYTHONUNBUFFERED": "1",
    }


def command_environment(settings: Settings) -> dict[str, str]:
    """The environment of a command that works on this platform: its home, its ports, no telemetry."""
    ports = {name.upper(): str(getattr(settings, name)) for name in Settings.port_defaults()}
    homes = {"PLATFORM_HOME": str(settings.home), "DAGSTER_HOME": str(settings.home / "dagster")}
    return {**os.environ, **QUIET, **ports, **homes}


def admin_token_file(settings: Settings) -> Path:
    """Where the embedded profile keeps the token that changes of the rollout over HTTP need."""
    return settings.home / "gateway" / "admin-token"


def _admin_token(settings: Settings) -> dict[str, str]:
    """The gateway's token where none is set: drawn once, readable by this user alone, so that no default is ever valid."""
    if os.environ.get("ADMIN_TOKEN") or os.environ.get("ADMIN_TOKEN_FILE"):
        return {}
    file = admin_token_file(settings)
    if not file.exists():
        staged = file.with_suffix(".new")
        staged.unlink(missing_ok=True)
        staged.touch(mode=0o600)
        staged.write_text(f"{secrets.token_urlsafe(24)}\n")
        staged.replace(file)
    return {"ADMIN_TOKEN_FILE": str(file)}


def create_dagster_storage(environment: dict[str, str]) -> None:
    """Create Dagster's SQLite files once, by one process.

    Webserver and daemon starting together in an empty DAGSTER_HOME both create them, and leave two schema revisions
    behind, after which neither starts again. Raises NotReadyToStartError with Dagster's own words.
    """
    if (Path(environment["DAGSTER_HOME"]) / "schedules" / "schedules.db").exists():
        return
    command = [sys.executable, "-m", "dagster", "instance", "migrate"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise NotReadyToStartError(f"Dagster's storage could not be created: {done.stderr.strip()[-2000:]}")


def _elsewhere(settings: Settings) -> set[str]:
    """Ports of the Triton that is not started here: the wheel's server, the only one here, has no other backends.

    Raises NotReadyToStartError where the settings ask for others and name no server that has them.
    """
    if settings.triton_backends is Backends.PYTHON:
        return set()
    if not (os.environ.get("TRITON_HTTP") and os.environ.get("TRITON_GRPC")):
        raise NotReadyToStartError(
            f"TRITON_BACKENDS={settings.triton_backends} needs a Triton of NVIDIA's image: set TRITON_HTTP and TRITON_GRPC to "
            "it, or leave TRITON_BACKENDS out. The server that is started here has only the Python backend"
        )
    return {name for name in Settings.port_defaults() if name.startswith("triton_")}


def _redis_server() -> str:
    found = redis_program("redis-server")
    if found is None:
        raise NotReadyToStartError("no redis-server found: run `make setup`, or put one on PATH")
    return found
