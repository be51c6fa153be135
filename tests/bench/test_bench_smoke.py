"""The benchmark itself, as short as it can be, over real servers."""

import json
import os
import signal
import subprocess
import sys
from datetime import date
from pathlib import Path

import pytest

from tests.bench import gateway
from tests.bench.load import available
from tests.bench.workload import workload
from tests.servers import ROOT, wait_until

needs_wrk = pytest.mark.skipif(not available(), reason="no wrk: as root, apt-get install wrk")
SHORT = ["--targets", "gateway", "--concurrency", "2", "--repetitions", "1", "--seconds", "1"]


def left_over(folder: Path) -> list[str]:
    """Command lines of live processes that name `folder`."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            command = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            here = (process / "cwd").readlink()
        except OSError:
            continue
        if str(folder) in command or here.is_relative_to(folder):
            found.append(command)
    return found


@needs_wrk
@pytest.mark.integration
def test_the_gateway_is_measured_and_what_was_started_is_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(gateway, "workload", lambda: workload(date(2013, 2, 1)))
    assert gateway.main([*SHORT, "--folder", str(tmp_path)]) == 0
    (row,) = json.loads((tmp_path / "gateway.json").read_text())
    assert (row["target"], row["concurrency"], row["errors"]) == ("gateway", 2, 0)
    assert row["requests_per_second"] > 50
    assert 0 < row["p50_us"] <= row["p99_us"]
    assert row["cpu_us_per_request"] > 1
    assert 0.03 < row["canary_share"] < 0.2
    assert row["shadow_share"] >= 0.999
    assert "not measured" in capsys.readouterr().out  # the marks that need other targets
    assert sorted(path.name for path in tmp_path.iterdir()) == ["gateway.json", "gateway.png"]
    assert left_over(tmp_path) == []


@needs_wrk
@pytest.mark.integration
def test_ctrl_c_under_load_leaves_nothing(tmp_path: Path) -> None:
    """A terminal sends it to every process of the group, to servers and wrk as well."""
    command = [sys.executable, "-m", "tests.bench.gateway", *SHORT, "--folder", str(tmp_path)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, start_new_session=True) as process:
        wait_until(lambda: any(line.startswith("wrk ") for line in left_over(tmp_path)), timeout_s=90)
        os.killpg(process.pid, signal.SIGINT)
        output, _ = process.communicate(timeout=60)
    assert (process.returncode, list(tmp_path.iterdir())) == (130, [])
    assert "Stopped" in output
    assert left_over(tmp_path) == []


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--targets", "gateway,apache"], "apache: choose from direct, nginx"),
        (["--concurrency", "1,0"], "a whole number above 0, got '0'"),
        (["--seconds", "-1"], "a whole number above 0"),
        (["--write-docs", "--targets", "gateway"], "--write-docs takes all targets"),
    ],
)
def test_a_wrong_option_is_named(arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        gateway.main(arguments)
    assert said in capsys.readouterr().err


def test_without_wrk_it_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("tests.bench.load.PROGRAM", "wrk-of-another-machine")
    assert gateway.main([]) == 1
    assert "apt-get install wrk" in capsys.readouterr().out
