"""The last of the demo: Ctrl-C."""

from pathlib import Path

import pytest

from tests.e2e.demo.conftest import Demo
from tests.servers import processes_of

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(960)]


def test_ctrl_c_ends_it_well_and_leaves_nothing_running(demo: Demo, home: Path) -> None:
    assert demo.end() == 0, demo.said[-3000:]
    assert "nothing is left running" in demo.said
    assert processes_of(home) == []
