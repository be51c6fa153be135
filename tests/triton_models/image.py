"""A server laid out as in NVIDIA's image, from the wheel's: with stand-ins for the two backends that the wheel lacks.

Triton takes a folder with a model.py for a backend (https://github.com/triton-inference-server/backend/blob/main/docs/python_based_backends.md).
So the real server reads our configurations, makes the ensemble, warms up and answers; only the scoring is lent: that of FIL by
treelite, which FIL itself scores with on a CPU, that of ONNX Runtime by its Python package. Both refuse what the real ones do.
"""

import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import treelite

from tests.servers import ROOT, TritonServer, answers_200, free_port, running
from triton_models.backends import Backends
from triton_models.launch import ServerEnvironment, build_backends, inspect_environment

_FIL = """\
import ctypes
import json
from pathlib import Path

import numpy as np
import triton_python_backend_utils as pb_utils

LIBRARY = "{library}"


class TritonPythonModel:
    def initialize(self, args):
        config = json.loads(args["model_config"])
        given = {{key: value["string_value"] for key, value in config["parameters"].items()}}
        float(given["threshold"])
        assert given["model_type"] == "lightgbm", given
        assert given["is_classifier"] == given["predict_proba"] == "true", given
        self.treelite = ctypes.CDLL(LIBRARY)
        self.treelite.TreeliteGetLastError.restype = ctypes.c_char_p
        path = Path(args["model_repository"]) / args["model_version"] / "model.txt"
        self.model, self.how = ctypes.c_void_p(), ctypes.c_void_p()
        self.ask("LoadLightGBMModel", str(path).encode(), b"{{}}", ctypes.byref(self.model))
        self.ask("GTILParseConfig", b'{{"predict_type": "default", "nthread": 1}}', ctypes.byref(self.how))

    def ask(self, function, *arguments):
        if getattr(self.treelite, "Treelite" + function)(*arguments):
            raise pb_utils.TritonModelException(self.treelite.TreeliteGetLastError().decode())

    def execute(self, requests):
        return [self.answer(pb_utils.get_input_tensor_by_name(r, "input__0").as_numpy()) for r in requests]

    def answer(self, vectors):
        values, scores = vectors.astype(np.float64), np.empty((len(vectors), 1), np.float64)
        read, written = (ctypes.c_void_p(array.ctypes.data) for array in (values, scores))
        self.ask("GTILPredict", self.model, read, b"float64", ctypes.c_uint64(len(values)), written, self.how)
        return pb_utils.InferenceResponse([pb_utils.Tensor("output__0", scores.astype(np.float32))])
"""
_THREADS = """\
        threads = {key: int(value["string_value"]) for key, value in config["parameters"].items()}
        options.intra_op_num_threads = threads["intra_op_thread_count"]
        options.inter_op_num_threads = threads["inter_op_thread_count"]
"""


def image(folder: Path) -> Path:
    """Lay out bin/ and backends/ in `folder`; returns it."""
    environment = inspect_environment(ROOT / ".venv-triton")
    parts = folder / "parts"
    build_backends(environment, parts)
    # Copied, because Triton follows links and refuses a library outside its folder to a backend without one of its own.
    shutil.copytree(parts / "python", folder / "backends" / "python")
    shutil.rmtree(parts)
    library = Path(treelite.__file__).parent / "lib" / "libtreelite.so"
    _backend(folder, "fil", _FIL.format(library=library))
    _backend(folder, "onnxruntime", _onnxruntime())
    _server(folder / "bin" / "tritonserver", environment)
    return folder


@contextmanager
def image_server(home: Path, folder: Path, backends: Backends, *, until: str = "ready") -> Iterator[TritonServer]:
    """The server in `folder`, launched as in NVIDIA's image, with `home` as PLATFORM_HOME."""
    http, grpc, metrics = free_port(), free_port(), free_port()
    command = ["env", f"TRITON_BACKENDS={backends}", sys.executable, "-m", "triton_models.launch"]
    command += ["--home", home, "--server", folder]
    command += ["--http-port", http, "--grpc-port", grpc, "--metrics-port", metrics]
    health = f"http://127.0.0.1:{http}/v2/health/{until}"
    with running("triton", command, home, lambda: answers_200(health), timeout_s=60) as process:
        yield TritonServer(f"127.0.0.1:{http}", f"127.0.0.1:{grpc}", f"127.0.0.1:{metrics}", process)


def _backend(folder: Path, name: str, code: str) -> None:
    (folder / "backends" / name).mkdir()
    (folder / "backends" / name / "model.py").write_text(code)


def _onnxruntime() -> str:
    """Our own backend for the wheel's server, with its threads from the configuration."""
    text = (ROOT / "triton_models" / "model.py").read_text()
    ours = [line for line in text.splitlines(keepends=True) if "op_num_threads" in line]
    assert len(ours) == 2
    return text.replace(ours[0], _THREADS).replace(ours[1], "")


def _server(script: Path, environment: ServerEnvironment) -> None:
    script.parent.mkdir()
    variables = " ".join(f'{key}="{value}"' for key, value in environment.variables("$PATH").items())
    script.write_text(f'#!/bin/sh\nexec env {variables} "{environment.server}" "$@"\n')
    script.chmod(0o755)
