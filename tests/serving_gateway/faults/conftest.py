"""A real Triton whose models do as they are told, loaded from its manifest."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.servers import triton_server
from tests.serving_gateway.faults import models


@dataclass(frozen=True)
class Told:
    """A Triton with delay_v1 and delay_v2."""

    http: str
    home: Path

    def tell(self, model: str, what: str = "") -> None:
        """See models.tell."""
        models.tell(self.home, model, what)


@pytest.fixture(scope="session")
def told_triton(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Told]:
    """One for all that do not kill it."""
    home = tmp_path_factory.mktemp("told")
    models.publish(home)
    with triton_server(home) as server:
        yield Told(server.http, home)


@pytest.fixture
def triton(told_triton: Told) -> Iterator[Told]:
    """Well at the beginning and at the end of each test."""
    yield told_triton
    for model in models.MODELS:
        told_triton.tell(model)
