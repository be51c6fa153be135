"""A home has one platform; the lock goes with its last holder, however that ends."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from orchestration.embedded.claim import claim
from orchestration.embedded.environment import NotReadyToStartError


def test_a_second_claim_is_refused_and_names_the_first(tmp_path: Path) -> None:
    refused = pytest.raises(NotReadyToStartError, match=rf"already runs on .* by process {os.getpid()}:")
    with claim(tmp_path), refused, claim(tmp_path):
        pytest.fail("two platforms would share one home")


def test_a_claim_ends_with_its_block_and_homes_are_independent(tmp_path: Path) -> None:
    for _ in range(2):
        with claim(tmp_path / "one"), claim(tmp_path / "two"):
            pass


def test_a_child_that_was_given_the_descriptor_keeps_the_claim_until_it_is_killed(tmp_path: Path) -> None:
    with claim(tmp_path) as held:
        child = subprocess.Popen([sys.executable, "-c", "import signal; signal.pause()"], pass_fds=(held,))
    try:
        with pytest.raises(NotReadyToStartError, match=re.escape(str(tmp_path))), claim(tmp_path):
            pytest.fail("the child still runs")
    finally:
        child.kill()
        child.wait()
    with claim(tmp_path):
        pass


def test_a_home_that_cannot_be_made_is_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(NotReadyToStartError, match="PLATFORM_HOME cannot be used"), claim(tmp_path / "file" / "home"):
        pytest.fail("a file is no folder")
