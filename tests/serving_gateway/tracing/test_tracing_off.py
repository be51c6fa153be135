"""Without a collector there is no tracing, and what would do it is not even imported.

redis-py takes OpenTelemetry's metrics for itself, wherever it finds them installed: these are not ours to leave out.
"""

import subprocess
import sys
from pathlib import Path

import pytest

from serving_gateway.settings import Settings, SettingsError
from serving_gateway.tracing.recorder import recorder_of
from tests.servers import ROOT
from tests.serving_gateway.support import GIVEN, GatewayProcess
from tests.serving_gateway.tracing.conftest import Start

TRACING = ["opentelemetry.sdk.trace", "opentelemetry.exporter", "opentelemetry.proto", "serving_gateway.tracing.export"]
MADE = """
import asyncio, os, sys
import serving_gateway.__main__, serving_gateway.workers.__main__, serving_gateway.asgi
from serving_gateway.gateway import Gateway
from serving_gateway.settings import Settings

async def make():
    gateway = Gateway(Settings.load(os.environ))
    await gateway.end()

asyncio.run(make())
print(*(name for name in {tracing} if name in sys.modules))
"""


def imported(home: Path, **environ: str) -> list[str]:
    """Which of TRACING a fresh process has imported that made a gateway."""
    command = ["env", f"PLATFORM_HOME={home}", "REDIS_URL=redis://127.0.0.1:1/0"]
    code = MADE.replace("{tracing}", repr(TRACING))
    command += [*(f"{name}={value}" for name, value in environ.items()), sys.executable, "-c", code]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=60).stdout.split()


def encodes(gateway: GatewayProcess) -> bool:
    """Whether protobuf's library is in the memory of the process that answers: the only child of the one that was started."""
    pid = gateway.process.pid
    worker = (Path("/proc") / str(pid) / "task" / str(pid) / "children").read_text().strip()
    return "google/_upb/" in (Path("/proc") / worker / "maps").read_text()


def test_off_means_not_even_imported(tmp_path: Path) -> None:
    assert imported(tmp_path) == []
    assert imported(tmp_path, OTEL_TRACES_SAMPLER="always_on") == []


def test_on_means_imported(tmp_path: Path) -> None:
    assert imported(tmp_path, OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:1") == TRACING


def test_where_opentelemetry_is_not_installed_that_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "serving_gateway.tracing.export", raising=False)
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.trace", None)
    settings = Settings.load({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1"})
    with pytest.raises(
        SettingsError, match=r"^OTEL_EXPORTER_OTLP_ENDPOINT is set and needs opentelemetry-sdk and .*: .*"
    ):
        recorder_of(settings)


def test_off_there_is_nobody_to_ask() -> None:
    assert recorder_of(Settings.load({})) is None


@pytest.mark.integration
def test_a_gateway_that_serves_has_not_loaded_it(start: Start) -> None:
    """Looked at from outside: the library that spans are encoded by is not in its memory."""
    with start() as gateway:
        answer = gateway.predict({"features": GIVEN}, traceparent=f"00-{'a' * 32}-{'b' * 16}-01")
        assert answer.headers["traceresponse"].startswith(f"00-{'a' * 32}-")
        assert answer.headers["traceresponse"].endswith("-00")  # asked for, but nobody records it
        assert not encodes(gateway)


@pytest.mark.integration
def test_a_gateway_that_traces_has(start: Start) -> None:
    with start(OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:1") as gateway:
        assert gateway.predict({"features": GIVEN}).headers["traceresponse"].endswith("-01")
        assert encodes(gateway)


@pytest.mark.integration
@pytest.mark.parametrize(
    ("variable", "value"), [("OTEL_TRACES_SAMPLER_ARG", "2.0"), ("OTEL_EXPORTER_OTLP_ENDPOINT", "collector:4318")]
)
def test_what_cannot_be_used_is_refused_at_the_start(variable: str, value: str, tmp_path: Path) -> None:
    command = ["env", f"{variable}={value}", f"PLATFORM_HOME={tmp_path}", sys.executable, "-m", "serving_gateway"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=30)
    assert done.returncode == 2
    assert done.stderr.startswith(f"serving_gateway: {variable} must be ")
    assert done.stderr.endswith(f", got {value!r}\n")
