"""docker-compose.yml as Compose reads it: variables put in, what a service mounts, what it waits for."""

import re
from collections.abc import Mapping
from typing import Any

import yaml

from tests.servers import ROOT

FILE = ROOT / "docker-compose.yml"
COMPOSE: dict[str, Any] = yaml.safe_load(FILE.read_text())
SERVICES: dict[str, Any] = COMPOSE["services"]
OURS = [name for name, service in SERVICES.items() if service["image"].startswith("drift-")]
FOREIGN = [name for name in SERVICES if name not in OURS]

_VARIABLE = re.compile(r"\$\{(?P<name>\w+)(?P<how>:?[-+])(?P<other>[^}]*)\}")


def interpolated(value: Any, variables: Mapping[str, str]) -> Any:
    """`value` with `${NAME-default}`, `${NAME:-default}` and `${NAME:+instead}` put in, as the Compose specification has them."""
    if isinstance(value, dict):
        return {key: interpolated(part, variables) for key, part in value.items()}
    if isinstance(value, list):
        return [interpolated(part, variables) for part in value]
    return _VARIABLE.sub(lambda found: _put_in(found, variables), value) if isinstance(value, str) else value


def _put_in(found: re.Match[str], variables: Mapping[str, str]) -> str:
    name, how, other = found["name"], found["how"], found["other"]
    counts = name in variables and (bool(variables[name]) or not how.startswith(":"))
    if how.endswith("+"):
        return other if counts else ""
    return variables[name] if counts else other


def mounts(service: str) -> dict[str, tuple[str, bool]]:
    """Path inside -> (volume or path outside, whether it can be written)."""
    parts = [text.split(":") for text in SERVICES[service].get("volumes", [])]
    return {inside: (outside, options != ["ro"]) for outside, inside, *options in parts}


def check(service: str) -> list[str]:
    """The words of its health check."""
    how, *words = SERVICES[service]["healthcheck"]["test"]
    assert how == "CMD"
    return list(words)


def port_inside(service: str) -> set[str]:
    """The ports that it publishes."""
    return {text.split(":")[2] for text in SERVICES[service].get("ports", [])}
