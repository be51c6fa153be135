"""The README's shell blocks, word for word, on the platform that the demo leaves up; only the ports are this one's."""

import shutil
import subprocess

import httpx
import pytest

from tests.docs.examples import addresses, examples, on_ports_of
from tests.docs.markdown import README
from tests.e2e.conftest import Platform
from tests.servers import ROOT

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.timeout(960),
    pytest.mark.skipif(shutil.which("curl") is None, reason="the README's examples use curl"),
]


def answer_of(platform: Platform, environment: dict[str, str], block: str) -> str:
    command = ["bash", "-eu", "-o", "pipefail", "-c", on_ports_of(platform.settings, block)]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-3000:]
    return done.stdout


def block_with(text: str) -> str:
    (found,) = [block for block in examples() if text in block]
    return found


@pytest.mark.parametrize("block", examples(), ids=lambda block: block.splitlines()[0][:40])
def test_a_block_runs_as_it_stands(platform: Platform, stack_environment: dict[str, str], block: str) -> None:
    answer_of(platform, stack_environment, block)


def test_the_gateway_answers_as_the_readme_says(platform: Platform, stack_environment: dict[str, str]) -> None:
    told = answer_of(platform, stack_environment, block_with("/ready"))
    for part in (
        '"predictions":[{',
        '"arm":"baseline"',
        '"canary_weight_bp":0',
        "serving_app_requests_total",
        '"ready"',
    ):
        assert part in told


def test_bad_input_is_answered_word_for_word(platform: Platform, stack_environment: dict[str, str]) -> None:
    told = answer_of(platform, stack_environment, block_with('{"origin": 7}'))
    assert told
    assert told in README.read_text()


@pytest.mark.parametrize("address", addresses())
def test_an_address_to_look_at_answers(platform: Platform, address: str) -> None:
    answer = httpx.get(on_ports_of(platform.settings, address), trust_env=False, timeout=30)
    assert answer.status_code == 200, answer.text


def test_a_further_day_is_asked_and_reported(platform: Platform, stack_environment: dict[str, str]) -> None:
    """What the block of a further day left behind: its training rows, its requests in the log, its report on disk."""
    from datetime import UTC, date, datetime

    from orchestration.features.training import read_training
    from orchestration.ingestion.predictions import read_predictions

    assert read_training(platform.settings.lake / "training", date(2013, 5, 3), date(2013, 5, 4)).height > 900
    logged = read_predictions(
        platform.settings.lake, datetime(2013, 5, 2, 23, tzinfo=UTC), datetime(2013, 5, 3, 23, tzinfo=UTC)
    )
    assert logged.height > 900
    assert list((platform.settings.reports / "drift").glob("2013-05-03T*.html"))
