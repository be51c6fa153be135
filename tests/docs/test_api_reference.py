"""docs/api.md is what the code says, and its examples are answered as it shows."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis

from serving_gateway.openapi.__main__ import PAGE, main
from serving_gateway.openapi.example import CONTRACT, next_version
from serving_gateway.openapi.reference import reference
from tests.servers import RedisServer
from tests.serving_gateway.faulty_triton import faulty_triton
from tests.serving_gateway.support import GatewayProcess, gateway_process, publish_state, state_of, wait_for

TOKEN = "a-token"
EXAMPLES = re.findall(
    r"^```http\n(\w+) (\S+)\n(.*?)^```\n\n^```json\n(.*?)^```$", reference(), re.MULTILINE | re.DOTALL
)


def test_the_page_is_the_codes() -> None:
    """Stale? Run `python -m serving_gateway.openapi`."""
    assert PAGE.read_text() == reference()


def test_the_command_writes_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--page", str(tmp_path / "api.md")]) == 0
    assert (tmp_path / "api.md").read_text() == reference()
    assert "api.md" in capsys.readouterr().out


@pytest.fixture(scope="module")
def gateway(redis_process: RedisServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayProcess]:
    """It serves the model that the examples are of; Triton's stand-in scores .25."""
    home = tmp_path_factory.mktemp("examples")
    with redis.Redis.from_url(redis_process.url) as client:
        client.flushall()
    publish_state(redis_process.url, state_of(CONTRACT), CONTRACT, next_version(CONTRACT))
    settings = {"EVENT_CLOCK": "wall", "ADMIN_TOKEN": TOKEN}
    with faulty_triton() as triton, gateway_process(home, redis_process.url, triton.address, **settings) as found:
        wait_for(lambda: found.client.get("/ready").status_code == 200)
        yield found


@pytest.mark.integration
@pytest.mark.parametrize(("method", "path", "body", "shown"), EXAMPLES, ids=lambda v: v if v[:1] == "/" else "")
def test_an_example_is_answered_as_shown(
    method: str, path: str, body: str, shown: str, gateway: GatewayProcess
) -> None:
    """One after the other: the change of the rollout rests on the state that the first one finds."""
    url = path.format(model=CONTRACT.model)
    answer = gateway.client.request(method, url, content=body, headers={"Authorization": f"Bearer {TOKEN}"})
    assert answer.status_code == 200, answer.text
    assert alike(answer.json(), json.loads(shown)) == []


def test_the_examples_are_many_enough() -> None:
    assert len(EXAMPLES) >= 6


VARY = {"prediction_id", "request_id", "prediction_ids", "time"}


def alike(found: Any, shown: Any, path: str = "$") -> list[str]:
    """Paths where two documents differ; names of this moment need only be of the same type."""
    if isinstance(found, dict) and isinstance(shown, dict) and found.keys() == shown.keys():
        return [p for name in found for p in alike(found[name], shown[name], f"{path}.{name}")]
    if isinstance(found, list) and isinstance(shown, list) and len(found) == len(shown):
        return [p for at, pair in enumerate(zip(found, shown, strict=True)) for p in alike(*pair, f"{path}[{at}]")]
    same = type(found) is type(shown) if path.rpartition(".")[2] in VARY else found == shown
    return [] if same else [path]
