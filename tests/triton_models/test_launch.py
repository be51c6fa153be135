import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from triton_models.backends import Backends
from triton_models.launch import (
    LOOPBACK,
    ROOT,
    LaunchError,
    ServerEnvironment,
    build_backends,
    inspect_environment,
    published_models,
    server_arguments,
)


def launch(*arguments: object, **variables: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "triton_models.launch", *map(str, arguments)]
    return subprocess.run(
        command, capture_output=True, text=True, cwd=ROOT, env=os.environ | variables, timeout=30, check=False
    )


def fake_environment(folder: Path, *, libdir: Path) -> Path:
    """An environment whose interpreter reports `libdir`, with a server in its site-packages."""
    site_packages = folder / "site-packages"
    server = site_packages / "pytriton" / "tritonserver" / "bin" / "tritonserver"
    server.parent.mkdir(parents=True)
    server.touch()
    python = folder / "bin" / "python"
    python.parent.mkdir()
    python.write_text(f"#!/bin/sh\nprintf '3.11\\n{libdir}\\n{site_packages}\\n'\n")
    python.chmod(0o755)
    return folder


def test_missing_environment_names_the_cure(tmp_path: Path) -> None:
    done = launch("--home", tmp_path, "--environment", tmp_path / "none")

    assert done.returncode == 1
    assert done.stderr.strip() == f"triton: Triton's environment {tmp_path / 'none'} is missing: run `make setup`"


def test_missing_libpython_names_the_package(tmp_path: Path) -> None:
    venv = fake_environment(tmp_path / "venv", libdir=tmp_path)

    with pytest.raises(LaunchError, match=r"libpython3\.11\.so\.1\.0 is not in .*apt-get install libpython3\.11"):
        inspect_environment(venv)


def test_environment_without_a_server_names_the_cure(tmp_path: Path) -> None:
    venv = fake_environment(tmp_path / "venv", libdir=tmp_path)
    (venv / "site-packages" / "pytriton" / "tritonserver" / "bin" / "tritonserver").unlink()

    with pytest.raises(LaunchError, match="holds no Triton server"):
        inspect_environment(venv)


def test_environment_is_read_from_its_own_interpreter(tmp_path: Path) -> None:
    (tmp_path / "libpython3.11.so.1.0").touch()
    found = inspect_environment(fake_environment(tmp_path / "venv", libdir=tmp_path))

    assert found == ServerEnvironment(tmp_path / "venv", "3.11", tmp_path, tmp_path / "venv" / "site-packages")
    assert found.variables("/usr/bin") == {
        "LD_LIBRARY_PATH": f"{tmp_path}/venv/site-packages/nvidia_pytriton.libs:{tmp_path}",
        "PATH": f"{tmp_path}/venv/bin:/usr/bin",
    }


def test_backends_folder_holds_the_three_parts_and_is_rebuilt(tmp_path: Path) -> None:
    environment = ServerEnvironment(tmp_path, "3.11", tmp_path, tmp_path / "site-packages")
    shipped = environment.distribution
    for part in ("backends/python/libtriton_python.so", "backends/python/triton_python_backend_utils.py"):
        (shipped / part).parent.mkdir(parents=True, exist_ok=True)
        (shipped / part).touch()
    stub = shipped / "python_backend_stubs" / "3.11" / "triton_python_backend_stub"
    with pytest.raises(LaunchError, match=r"lacks triton_python_backend_stub for Python 3\.11"):
        build_backends(environment, tmp_path / "backends")
    stub.parent.mkdir(parents=True)
    stub.touch()

    build_backends(environment, tmp_path / "backends")
    build_backends(environment, tmp_path / "backends")

    links = {link.name: link.resolve() for link in (tmp_path / "backends" / "python").iterdir()}
    assert links == {
        "libtriton_python.so": shipped / "backends/python/libtriton_python.so",
        "triton_python_backend_utils.py": shipped / "backends/python/triton_python_backend_utils.py",
        "triton_python_backend_stub": stub,
    }


def test_manifest_becomes_the_load_list(tmp_path: Path) -> None:
    manifest = tmp_path / "manifest.json"
    assert published_models(manifest) == []

    manifest.write_text(json.dumps(["flight_delay_v1", "flight_delay_v2"]))
    models = published_models(manifest)
    arguments = server_arguments(http=1, grpc=2, metrics=3, models=models, gpu=False)

    assert [a for a in arguments if a.startswith("--load-model")] == [
        "--load-model=flight_delay_v1",
        "--load-model=flight_delay_v2",
    ]


@pytest.mark.parametrize("text", ["[", '{"a": 1}', "[1]"])
def test_unreadable_manifest_says_so(tmp_path: Path, text: str) -> None:
    manifest = tmp_path / "manifest.json"
    manifest.write_text(text)

    with pytest.raises(LaunchError, match="publish again"):
        published_models(manifest)


def test_server_listens_on_loopback_only_and_starts_with_nothing_unasked() -> None:
    flags = dict(
        a.removeprefix("--").split("=", 1)
        for a in server_arguments(http=11, grpc=12, metrics=13, models=[], gpu=False)
        if "=" in a
    )

    assert {flags[f"{kind}-address"] for kind in ("http", "grpc", "metrics")} == {LOOPBACK}
    assert [flags[f"{kind}-port"] for kind in ("http", "grpc", "metrics")] == ["11", "12", "13"]
    assert flags["model-control-mode"] == "explicit"
    assert flags["allow-gpu-metrics"] == "false"


def test_a_container_listens_where_it_is_told() -> None:
    arguments = server_arguments(http=1, grpc=2, metrics=3, models=[], gpu=False, address="0.0.0.0")
    assert {f"--{kind}-address=0.0.0.0" for kind in ("http", "grpc", "metrics")} <= set(arguments)


@pytest.mark.parametrize("backends", [Backends.ONNXRUNTIME, Backends.GPU])
def test_other_backends_than_the_wheels_need_the_images_server(tmp_path: Path, backends: Backends) -> None:
    done = launch("--home", tmp_path, "--server", tmp_path, TRITON_BACKENDS=backends)

    assert done.returncode == 1
    assert done.stderr.startswith(
        f"triton: TRITON_BACKENDS={backends} needs the server of NVIDIA's image, and {tmp_path} holds none."
    )
    assert "leave TRITON_BACKENDS out" in done.stderr


def test_backends_that_are_none_are_one_clear_error(tmp_path: Path) -> None:
    done = launch("--home", tmp_path, TRITON_BACKENDS="cuda")

    assert done.returncode == 1
    assert done.stderr.strip() == "triton: TRITON_BACKENDS must be python, onnxruntime, gpu, got 'cuda'"


def test_the_images_server_takes_its_own_backends_the_manifest_and_its_configurations(tmp_path: Path) -> None:
    server = tmp_path / "opt" / "bin" / "tritonserver"
    server.parent.mkdir(parents=True)
    server.write_text('#!/bin/sh\npwd\necho "$@"\n')
    server.chmod(0o755)
    (tmp_path / "triton").mkdir()
    (tmp_path / "triton" / "manifest.json").write_text('["flight_delay_v1"]')

    done = launch("--home", tmp_path, "--server", tmp_path / "opt", TRITON_BACKENDS="gpu")

    folder, arguments = done.stdout.splitlines()
    assert folder == str(tmp_path / "triton")
    assert {
        f"--backend-directory={tmp_path}/opt/backends",
        "--model-config-name=gpu",
        "--load-model=flight_delay_v1",
        "--disable-auto-complete-config",
    } <= set(arguments.split())


def test_the_wheels_server_takes_the_default_configuration() -> None:
    arguments = server_arguments(http=1, grpc=2, metrics=3, models=[], gpu=False)
    assert not any(argument.startswith("--model-config-name") for argument in arguments)
    assert "--backend-directory=backends" in arguments


def test_the_launch_needs_nothing_but_the_standard_library() -> None:
    """NVIDIA's image has its own Python, and none of our packages."""
    code = "import sys; sys.path.insert(0, '.'); import triton_models.launch"
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", code], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_port_that_is_no_number_is_one_clear_error(tmp_path: Path) -> None:
    done = launch("--home", tmp_path, TRITON_HTTP_PORT="web")

    assert done.returncode == 2
    assert "--http-port: invalid int value: 'web'" in done.stderr


def test_help_names_every_variable() -> None:
    done = launch("--help")

    assert done.returncode == 0
    for variable in ("PLATFORM_HOME", "TRITON_HTTP_PORT", "TRITON_GRPC_PORT", "TRITON_METRICS_PORT"):
        assert variable in done.stdout
