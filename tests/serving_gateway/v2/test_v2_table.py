"""The route table: complete in the documentation, and each path finds its own endpoint."""

import asyncio
import json
from typing import Any, cast

import pytest

from serving_gateway.http import Handler, Request, Response
from serving_gateway.v2.models import Models
from serving_gateway.v2.table import endpoints, finder
from tests.docs.markdown import table
from tests.servers import ROOT

MODELS = Models(
    follower=cast("Any", None), ready=cast("Any", None), upstream=cast("Any", None), deadline_s=1, max_body_bytes=1
)


async def infer(_request: Request, **named: str) -> Response:
    return Response(200, repr(named).encode())


def answered(handler: Handler, request: Request) -> Response:
    async def run() -> Response:
        answer: asyncio.Future[Response] = asyncio.get_running_loop().create_future()
        handler(request, answer.set_result)
        return await asyncio.wait_for(answer, 5)

    return asyncio.run(run())


TABLE = endpoints(infer, MODELS)
FIND = finder(TABLE)


def test_the_documentation_lists_every_endpoint_and_no_other() -> None:
    listed = {path: methods for path, (methods, _) in table(ROOT / "docs" / "v2.md", "Endpoints").items()}
    assert listed == {pattern: ", ".join(methods) for pattern, methods in TABLE.items()}


@pytest.mark.parametrize("pattern", TABLE)
def test_each_pattern_is_found_by_its_own_paths(pattern: str) -> None:
    path = pattern.format(model="flight delay", version="11", region="r")
    found = FIND(path)
    assert found is not None
    assert found[0] == pattern
    assert set(found[1]) == set(TABLE[pattern])


@pytest.mark.parametrize(
    "path",
    ["/v2/", "/v2x", "/v2/models", "/v2/models/", "/v2/models//infer", "/v2/models/a/b/infer", "/v2/models/a/infer/", "/",
     "/v2/models/a/generate", "/v2/models/a/versions/infer/x", "/predict"],
)  # fmt: skip
def test_what_is_no_endpoint_is_not_found(path: str) -> None:
    assert FIND(path) is None


def test_the_segments_go_to_the_handler_by_name() -> None:
    def named(path: str) -> bytes:
        found = FIND(path)
        assert found is not None
        return answered(found[1]["POST"], Request("POST", path, {}, b"")).body

    assert named("/v2/models/a%20b/infer") == b"{'model': 'a%20b'}"
    assert named("/v2/models/m/versions/3/infer") == b"{'model': 'm', 'version': '3'}"


@pytest.mark.parametrize("pattern", [p for p in TABLE if any(w in p for w in ("load", "trace", "logging", "shared"))])
def test_what_is_not_offered_is_refused_with_what_to_do(pattern: str) -> None:
    path = pattern.format(model="m", region="r")
    found = FIND(path)
    assert found is not None
    for method, handler in found[1].items():
        response = answered(handler, Request(method, path, {}, b""))
        assert response.status == 403
        assert ":" in json.loads(response.body)["error"]
