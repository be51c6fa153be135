"""Keeps MLflow from importing all of Feast.

Feast registers a provider of request headers with MLflow (entry point `mlflow.request_header_provider`), for tokens of its
own service accounts. MLflow loads it with the first request of a process: some seconds of a processor for every run that
talks to MLflow, and no header. A stand-in has the place of that module until somebody asks it for anything else.
"""

import importlib
import sys
from types import ModuleType
from typing import Any

MODULE = "feast.infra.data_sources.mlflow.auth"
PROVIDER = "FeastMLflowHeaderProvider"


class NoHeaders:
    """A provider as MLflow knows them (mlflow.tracking.request_header.abstract_request_header_provider), with nothing to add."""

    def in_context(self) -> bool:
        """Whether it has headers."""
        return False

    def request_headers(self) -> dict[str, str]:
        """The headers."""
        return {}


class _StandIn(ModuleType):
    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):  # the import system asks for these
            raise AttributeError(name)
        if sys.modules.get(MODULE) is self:
            del sys.modules[MODULE]
        return getattr(importlib.import_module(MODULE), name)


def stand_in() -> None:
    """Take the module's place, where it is not imported yet."""
    if MODULE not in sys.modules:
        module = _StandIn(MODULE)
        setattr(module, PROVIDER, NoHeaders)
        sys.modules[MODULE] = module
