"""Is each process of the embedded profile up? One probe a service, each over the protocol its users speak."""

from collections.abc import Callable
from functools import partial
from typing import Any

import httpx
import redis

from orchestration.embedded.alerting import watching
from orchestration.settings import Settings

Probe = Callable[[], bool]
# Of somebody who is away, or who does not answer as Dagster does.
_NOT_DAGSTER = (httpx.HTTPError, ValueError, LookupError, TypeError)


def probes(settings: Settings) -> dict[str, Probe]:
    """Service name to a probe that returns True once the service answers as healthy.

    Prometheus and Alertmanager are asked where there are any.
    """
    triton, mlflow, dagster = f"http://{settings.triton_http}", settings.mlflow_url, settings.dagster_api_url
    return {
        "redis": lambda: _redis(settings.redis_url),
        "triton": lambda: _http(f"{triton}/v2/health/ready"),
        "mlflow": lambda: _http(f"{mlflow}/health"),
        "gateway": lambda: _http(f"{settings.gateway_url}/health"),
        "updater": lambda: _http(f"{settings.updater_url}/health"),
        "incidents": lambda: _http(f"{settings.incidents_url}/health"),
        "reports": lambda: _http(settings.reports_api_url),
        "dagster webserver": lambda: _http(f"{dagster}/server_info"),
        "dagster definitions": lambda: _dagster_definitions(dagster),
        "dagster daemon": lambda: _dagster_daemon(dagster),
    } | {name: partial(_http, f"{url}/-/ready") for name, url in watching(settings).items()}


def _redis(url: str) -> bool:
    try:
        with redis.Redis.from_url(url, socket_timeout=1, socket_connect_timeout=1, retry=None) as client:
            return bool(client.ping())
    except (redis.RedisError, ValueError):
        return False


def _http(url: str) -> bool:
    try:
        return httpx.get(url, timeout=2, trust_env=False).status_code == httpx.codes.OK
    except httpx.HTTPError:
        return False


def _dagster_definitions(url: str) -> bool:
    query = "{ repositoriesOrError { __typename ... on RepositoryConnection { nodes { name } } } }"
    try:
        return bool(_graphql(url, query)["repositoriesOrError"]["nodes"])
    except _NOT_DAGSTER:
        return False


def _dagster_daemon(url: str) -> bool:
    query = "{ instance { daemonHealth { allDaemonStatuses { required healthy } } } }"
    try:
        statuses = _graphql(url, query)["instance"]["daemonHealth"]["allDaemonStatuses"]
        return bool(statuses) and all(s["healthy"] for s in statuses if s["required"])
    except _NOT_DAGSTER:
        return False


def _graphql(url: str, query: str) -> Any:
    return httpx.post(f"{url}/graphql", json={"query": query}, timeout=5, trust_env=False).json()["data"]
