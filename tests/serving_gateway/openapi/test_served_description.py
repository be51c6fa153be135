"""Requests made from the served description, good and bad: every answer is as described, and none is a bug."""

from contextlib import nullcontext, suppress
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import Case
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from serving_gateway.openapi.document import described as operations_of
from tests.serving_gateway.openapi.conftest import TOKEN, Described

pytestmark = pytest.mark.integration

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
OPERATIONS = list(operations_of(None, max_rows=1024))


FITTING = [schemathesis.GenerationMode.POSITIVE]


def can_be_wrong(operation: dict[str, Any]) -> bool:
    """Any text is a good part of a path: hundreds of draws would find no bad one."""
    return "requestBody" in operation or any(given["in"] != "path" for given in operation.get("parameters", ()))


def hold(path: str, method: str, described: Described, examples: int) -> None:
    """Ask the operation `examples` times each with bodies that fit its schema and with bodies that do not."""
    schema = schemathesis.openapi.from_dict(described.document)
    schema.config.update(base_url=described.gateway.url)
    admin = path.startswith("/rollout") and method in {"PUT", "POST"}
    headers = {"Authorization": f"Bearer {TOKEN}"} if admin else {}
    for mode in (
        schemathesis.GenerationMode if can_be_wrong(described.document["paths"][path][method.lower()]) else FITTING
    ):

        @settings(
            max_examples=examples,
            deadline=None,
            derandomize=True,
            database=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(case=schema[path][method].as_strategy(generation_mode=mode))
        def asked(case: Case) -> None:
            response = case.call(headers=headers)
            case.validate_response(response, checks=CHECKS)

        # Where a route takes nothing, nothing can be wrong with it.
        with suppress(Unsatisfiable) if mode.is_negative else nullcontext():
            asked()
    log = (described.gateway.home / f"gateway-{described.gateway.port}.log").read_text()
    assert "Traceback" not in log


@pytest.mark.parametrize(("path", "method"), OPERATIONS)
def test_every_answer_is_as_described(path: str, method: str, described: Described) -> None:
    hold(path, method, described, 4)


@pytest.mark.full
@pytest.mark.parametrize(("path", "method"), OPERATIONS)
def test_every_answer_is_as_described_at_length(path: str, method: str, described: Described) -> None:
    hold(path, method, described, 200)
