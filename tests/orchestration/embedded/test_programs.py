"""Asking a supervisor that is not there, or hangs; a real one answers in test_stack."""

import socket
import time
from pathlib import Path

from orchestration.embedded.programs import Program, programs


def test_no_supervisor_has_no_programs(tmp_path: Path) -> None:
    assert programs(tmp_path / "supervisor.sock") == []


def test_a_supervisor_that_hangs_is_not_waited_for(tmp_path: Path) -> None:
    path = tmp_path / "supervisor.sock"
    with socket.socket(socket.AF_UNIX) as hangs:
        hangs.bind(str(path))
        hangs.listen()
        began = time.monotonic()
        assert programs(path) == []
        assert time.monotonic() - began < 10


def test_a_log_ends_with_its_last_lines(tmp_path: Path) -> None:
    program = Program("one", "FATAL", tmp_path / "one.log", "")
    assert program.log_end() == ""
    program.log.write_bytes(b"first\nsecond\n\xffthird\n")
    assert program.log_end(2) == "second\n�third"
