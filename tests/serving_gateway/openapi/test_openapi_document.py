"""The description is whole: every route of the code, no other, and nothing in it hangs in the air."""

import asyncio
import json
from pathlib import Path
from typing import Any, cast

import pytest

from serving_gateway.gateway import Gateway
from serving_gateway.http import Request, Response
from serving_gateway.openapi.document import described, document
from serving_gateway.openapi.operation import ALWAYS
from serving_gateway.settings import Settings
from serving_gateway.v2.infer import Infer
from serving_gateway.v2.models import Models
from serving_gateway.v2.table import endpoints
from tests.serving_gateway.support import CONTRACT

DOCUMENT = document(described(None, max_rows=1024))
OPERATIONS = [
    (path, method, operation) for path, methods in DOCUMENT["paths"].items() for method, operation in methods.items()
]


def routes_of_the_code(home: Path) -> set[tuple[str, str]]:
    async def main() -> set[tuple[str, str]]:
        gateway = Gateway(Settings.load({"PLATFORM_HOME": str(home), "REDIS_URL": "redis://127.0.0.1:1/0"}))
        own = gateway._router._routes
        gateway._spool.close()
        await gateway._control.aclose()
        return {(path, method) for path, methods in own.items() for method in methods}

    v2 = endpoints(Infer.__call__, Models)
    return asyncio.run(main()) | {(pattern, method) for pattern, methods in v2.items() for method in methods}


def test_every_route_is_described_and_no_other(tmp_path: Path) -> None:
    assert {(path, method.upper()) for path, method, _ in OPERATIONS} == routes_of_the_code(tmp_path)


def test_every_reference_is_to_a_schema_and_every_schema_is_referred_to() -> None:
    assert {name.rpartition("/")[2] for name in references(DOCUMENT)} == set(DOCUMENT["components"]["schemas"])


def references(node: Any) -> list[str]:
    if isinstance(node, dict):
        own = [node["$ref"]] if isinstance(node.get("$ref"), str) else []
        return own + [name for value in node.values() for name in references(value)]
    return [name for value in node for name in references(value)] if isinstance(node, list) else []


@pytest.mark.parametrize(("path", "method", "operation"), OPERATIONS, ids=lambda v: v if isinstance(v, str) else "")
def test_an_operation_says_what_can_happen(path: str, method: str, operation: dict[str, Any]) -> None:
    responses = operation["responses"]
    assert {str(status) for status in ALWAYS} <= set(responses)
    assert ("200" in responses) != (set(responses) - {str(status) for status in ALWAYS} == {"403"})
    assert ("401" in responses) == bool(operation["security"])
    assert responses["503"]["headers"].keys() == {"Retry-After"}
    assert operation["summary"]
    assert not operation["summary"].endswith(".")
    own = f"#/components/schemas/{'ProtocolError' if path.startswith('/v2') else 'Error'}"
    assert responses["413"]["content"]["application/json"]["schema"] == {"$ref": own}
    assert len({o["operationId"] for _, _, o in OPERATIONS}) == len(OPERATIONS)


def test_security_schemes_are_those_that_are_named() -> None:
    named = {name for _, _, operation in OPERATIONS for way in operation["security"] for name in way}
    assert named == set(DOCUMENT["components"]["securitySchemes"])


def test_the_examples_are_of_the_model_that_is_served() -> None:
    found = document(described(CONTRACT, max_rows=7))["paths"]["/predict"]["post"]["requestBody"]
    content = found["content"]["application/json"]
    by_entities, by_features = content["example"]["instances"]
    assert set(by_entities) == {"origin", "tailnum", "carrier", "dow", "distance"}
    assert list(by_features["features"]) == [i.name for i in CONTRACT.inputs]
    assert '"maxItems": 7' in json.dumps(content["schema"])


def test_it_is_built_once_for_a_contract() -> None:
    from serving_gateway.openapi.route import Description

    class Follower:
        served = None

    handler, found = Description(follower=cast("Any", Follower()), max_rows=1), []
    for _ in range(2):
        handler(Request("GET", "/openapi.json", {}, b""), found.append)
    first, second = cast("list[Response]", found)
    assert first is second
    assert json.loads(first.body)["openapi"] == "3.1.0"
