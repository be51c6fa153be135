"""MLflow is asked without all of Feast, and whoever wants Feast's module has it."""

import subprocess
import sys
from importlib.metadata import entry_points

import pytest

from orchestration.mlflow_without_feast import MODULE, PROVIDER
from tests.servers import ROOT


def run(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_feast_has_registered_what_is_stood_in_for() -> None:
    """Else the stand-in has lost its reason."""
    assert f"{MODULE}:{PROVIDER}" in {entry.value for entry in entry_points(group="mlflow.request_header_provider")}


def test_a_request_to_mlflow_imports_no_feast_and_warns_of_nothing() -> None:
    asked = "from mlflow.tracking.request_header.registry import resolve_request_headers"
    code = f"import sys, warnings, orchestration\nwith warnings.catch_warnings(record=True) as caught:\n    {asked}"
    assert run(
        f"{code}\nresolve_request_headers()\nprint('feast' in sys.modules, [str(w.message) for w in caught])"
    ) == ("False []")


@pytest.mark.integration
def test_whoever_wants_feasts_module_has_it() -> None:
    code = f"import sys, orchestration\nfrom {MODULE} import resolve_mlflow_token, {PROVIDER}\nimport {MODULE} as now"
    assert run(f"{code}\nprint(now.__file__ is not None, now.{PROVIDER}.__module__)") == f"True {MODULE}"
