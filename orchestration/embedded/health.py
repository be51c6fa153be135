"""Is each process of the embedded profile up? One probe a service, each over the protocol its users speak."""

import socket
from collections.abc import Callable

import httpx

from orchestration.settings import Settings

Probe = Callable[[], bool]


def probes(settings: Settings) -> dict[str, Probe]:
    """Service name to a probe that returns True once the service answers as healthy."""
    triton, mlflow = f"http://{settings.triton_http}", settings.mlflow_url
    return {
        "redis": lambda: _redis(settings.redis_port),
        "triton": lambda: _http(f"{triton}/v2/health/ready"),
        "mlflow": lambda: _http(f"{mlflow}/health"),
        "gateway": lambda: _http(f"{settings.gateway_url}/health"),
        "reports": lambda: _http(settings.reports_url),
        "dagster webserver": lambda: _http(f"{settings.dagster_url}/server_info"),
        "dagster definitions": lambda: _dagster_definitions(settings.dagster_url),
        "dagster daemon": lambda: _dagster_daemon(settings.dagster_url),
    }


def _redis(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1) as connection:
            connection.sendall(b"PING\r\n")
            return connection.recv(16).startswith(b"+PONG")
    except OSError:
        return False


def _http(url: str) -> bool:
    try:
        return httpx.get(url, timeout=2, trust_env=False).status_code == httpx.codes.OK
    except httpx.HTTPError:
        return False


def _dagster_definitions(url: str) -> bool:
    found = _graphql(url, "{ repositoriesOrError { __typename ... on RepositoryConnection { nodes { name } } } }")
    return bool(found.get("repositoriesOrError", {}).get("nodes"))


def _dagster_daemon(url: str) -> bool:
    found = _graphql(url, "{ instance { daemonHealth { allDaemonStatuses { required healthy } } } }")
    statuses = found.get("instance", {}).get("daemonHealth", {}).get("allDaemonStatuses", [])
    return bool(statuses) and all(s["healthy"] for s in statuses if s["required"])


def _graphql(url: str, query: str) -> dict[str, dict[str, dict[str, list[dict[str, bool]]]]]:
    try:
        answer = httpx.post(f"{url}/graphql", json={"query": query}, timeout=5, trust_env=False).json()
    except (httpx.HTTPError, ValueError):
        return {}
    return answer.get("data") or {}
