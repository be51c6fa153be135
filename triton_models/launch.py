"""Start Triton with every published model loaded: the server that the `nvidia-pytriton` wheel carries, or NVIDIA's image's.

`python -m triton_models.launch` replaces itself by tritonserver, so a supervisor's signals reach the server itself.
The wheel's server lives in an environment of its own (`.venv-triton`): its wheel wants numpy < 2, the platform numpy 2.
Where TRITON_BACKENDS asks for more than its Python backend, it is the image's server, and this file needs nothing but the
image's own Python and the folder it stands in.
"""

import argparse
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from triton_models.backends import Backends

ROOT = Path(__file__).resolve().parents[1]
LOOPBACK = "127.0.0.1"
IMAGE_SERVER = Path("/opt/tritonserver")
_ASK = "import sys, sysconfig as s; print('%d.%d' % sys.version_info[:2], s.get_config_var('LIBDIR'), s.get_path('purelib'), sep='\\n')"


class LaunchError(Exception):
    """The server cannot be started; the message says what to do."""


@dataclass(frozen=True)
class ServerEnvironment:
    """What `.venv-triton` holds: its Python's version ("3.11"), the folder of its libpython, its site-packages."""

    venv: Path
    version: str
    libdir: Path
    site_packages: Path

    @property
    def distribution(self) -> Path:
        """The server as the wheel ships it."""
        return self.site_packages / "pytriton" / "tritonserver"

    @property
    def server(self) -> Path:
        """The tritonserver executable."""
        return self.distribution / "bin" / "tritonserver"

    def variables(self, path: str) -> dict[str, str]:
        """Environment variables that the server and the backend's Python processes need; `path` is the PATH so far.

        The stub embeds an isolated Python, which ignores PYTHONPATH but takes the first python3 on PATH for its home:
        with the environment's own in front it is at home there.
        """
        return {
            "LD_LIBRARY_PATH": f"{self.site_packages / 'nvidia_pytriton.libs'}:{self.libdir}",
            "PATH": f"{self.venv / 'bin'}:{path}",
        }


def inspect_environment(venv: Path) -> ServerEnvironment:
    """Ask the environment's own interpreter where its parts are.

    Raises:
        LaunchError: the environment is missing or incomplete, or its shared libpython is.
    """
    python = venv / "bin" / "python"
    if not python.exists():
        raise LaunchError(f"Triton's environment {venv} is missing: run `make setup`")
    answer = subprocess.run([python, "-I", "-c", _ASK], capture_output=True, text=True, check=True)
    version, libdir, site_packages = answer.stdout.splitlines()
    found = ServerEnvironment(venv, version, Path(libdir), Path(site_packages))
    if not found.server.exists():
        raise LaunchError(f"{venv} holds no Triton server: delete that folder and run `make setup`")
    library = f"libpython{version}.so.1.0"
    if not (found.libdir / library).exists():
        raise LaunchError(f"{library} is not in {found.libdir}: run `apt-get install libpython{version}`")
    return found


def build_backends(environment: ServerEnvironment, folder: Path) -> None:
    """Lay out `folder`/python as the server wants it: the backend, its Python module and the stub side by side."""
    backend = folder / "python"
    backend.mkdir(parents=True, exist_ok=True)
    shipped = environment.distribution / "backends" / "python"
    stub = environment.distribution / "python_backend_stubs" / environment.version / "triton_python_backend_stub"
    for source in (shipped / "libtriton_python.so", shipped / "triton_python_backend_utils.py", stub):
        if not source.exists():
            raise LaunchError(
                f"the Triton wheel lacks {source.name} for Python {environment.version}: run `make setup`"
            )
        link = backend / source.name
        link.unlink(missing_ok=True)
        link.symlink_to(source)


def published_models(manifest: Path) -> list[str]:
    """Names in the manifest (a JSON list of strings); none before the first publish.

    Raises:
        LaunchError: the file is not such a list.
    """
    if not manifest.exists():
        return []
    try:
        names = json.loads(manifest.read_text())
    except json.JSONDecodeError as error:
        raise LaunchError(f"{manifest} is not JSON ({error}): delete it and publish again") from error
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise LaunchError(f"{manifest} must be a JSON list of model names: delete it and publish again")
    return names


def server_arguments(
    *,
    http: int,
    grpc: int,
    metrics: int,
    models: list[str],
    gpu: bool,
    address: str = LOOPBACK,
    backends: Backends = Backends.PYTHON,
    backend_directory: Path = Path("backends"),
) -> list[str]:
    """Command-line flags of tritonserver, to be run in <home>/triton.

    `backends` chooses among the configurations of each model.

    Paths are relative, for the Python backend puts them unquoted into a shell command: a home with a space would hang
    every load.

    A model that fails to load leaves the others served (`exit-on-error=false`) but the server not ready
    (`strict-readiness`): an outage of one version must not become an outage of all.
    """
    flags = {
        "model-repository": "repository",
        "backend-directory": backend_directory,
        "model-control-mode": "explicit",
        "exit-on-error": "false",
        "strict-readiness": "true",
        "exit-timeout-secs": 5,
        "http-address": address,
        "http-port": http,
        "http-thread-count": 4,  # a load over gRPC leaves these alone; each serves its own keep-alive connections
        "grpc-address": address,
        "grpc-port": grpc,
        "metrics-address": address,
        "metrics-port": metrics,
        "allow-gpu-metrics": str(gpu).lower(),
        "model-load-thread-count": 2,
        "backend-config": "python,shm-default-byte-size=4194304",
    }
    # config.pbtxt is complete; having it completed would start every backend twice.
    arguments = ["--disable-auto-complete-config", *(f"--{name}={value}" for name, value in flags.items())]
    if backends is not Backends.PYTHON:
        arguments.append(f"--model-config-name={backends}")
    return arguments + [f"--load-model={name}" for name in models]


def image_server(folder: Path, backends: Backends) -> Path:
    """The executable of the server in `folder`. Raises LaunchError where there is none."""
    server = folder / "bin" / "tritonserver"
    if not server.exists():
        raise LaunchError(
            f"TRITON_BACKENDS={backends} needs the server of NVIDIA's image, and {folder} holds none. The wheel's server has "
            "only the Python backend: leave TRITON_BACKENDS out to start that one"
        )
    return server


def main(argv: list[str] | None = None) -> None:
    """Command line. Never returns: this process becomes the server, or exits with the reason why not."""
    options = _parser().parse_args(argv)
    home: Path = options.home.expanduser().resolve()
    variables, backend_directory = dict(os.environ), Path("backends")
    try:
        backends = Backends.of(os.environ.get("TRITON_BACKENDS"))
        if backends is Backends.PYTHON:
            environment = inspect_environment(options.environment.absolute())
            build_backends(environment, home / "triton" / backend_directory)
            server = environment.server
            variables |= environment.variables(os.environ.get("PATH", os.defpath))
        else:
            server = image_server(options.server.absolute(), backends)
            backend_directory = server.parents[1] / "backends"
        models = published_models(home / "triton" / "manifest.json")
    except (LaunchError, ValueError) as error:
        sys.exit(f"triton: {error}")
    (home / "triton" / "repository").mkdir(parents=True, exist_ok=True)
    arguments = server_arguments(
        http=options.http_port,
        grpc=options.grpc_port,
        metrics=options.metrics_port,
        models=models,
        gpu=Path("/dev/nvidiactl").exists(),
        address=options.address,
        backends=backends,
        backend_directory=backend_directory,
    )
    os.chdir(home / "triton")
    os.execve(server, [str(server), *arguments], variables)  # noqa: S606


def _parser() -> argparse.ArgumentParser:
    env = os.environ.get
    parser = argparse.ArgumentParser(prog="python -m triton_models.launch", description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "--home",
        type=Path,
        default=env("PLATFORM_HOME") or ROOT / ".local",
        help="folder of all state; models in <home>/triton (PLATFORM_HOME, default .local)",
    )
    parser.add_argument(
        "--environment", type=Path, default=ROOT / ".venv-triton", help="Triton's environment (default .venv-triton)"
    )
    parser.add_argument(
        "--server",
        type=Path,
        default=IMAGE_SERVER,
        help=f"folder of the server where TRITON_BACKENDS is not python (default {IMAGE_SERVER}, as in NVIDIA's image)",
    )
    parser.add_argument(
        "--address", default=LOOPBACK, help=f"IP address to listen on (default {LOOPBACK}; in a container 0.0.0.0)"
    )
    for kind, default in (("http", 8100), ("grpc", 8101), ("metrics", 8102)):
        variable = f"TRITON_{kind.upper()}_PORT"
        parser.add_argument(
            f"--{kind}-port",
            type=int,
            default=env(variable) or default,
            help=f"{kind} port ({variable}, default {default})",
        )
    return parser


if __name__ == "__main__":
    main()
