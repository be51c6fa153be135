"""Every setting of the gateway, from the environment, in one frozen dataclass that documents itself."""

import dataclasses
import re
import socket
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from serving_gateway.access import NamedToken, token, token_lines
from serving_gateway.tracing.sampling import SAMPLERS

ROOT = Path(__file__).resolve().parents[1]


class SettingsError(ValueError):
    """A variable holds a value that cannot be used; the message names it and says what is expected."""


def _integer(low: int, high: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        if not text.isascii() or not text.isdigit() or not low <= int(text) <= high:
            raise ValueError(f"a whole number from {low} to {high}")
        return int(text)

    return parse


def _one_of(*allowed: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if text not in allowed:
            raise ValueError(" or ".join(allowed))
        return text

    return parse


def _address(text: str) -> str:
    host, colon, port = text.rpartition(":")
    if not (host and colon):
        raise ValueError("host:port")
    _port(port)
    return text


def _redis_url(text: str) -> str:
    plain = re.fullmatch(r"redis://[\w.-]+:(\d{1,5})/\d+", text, re.ASCII)
    if plain and int(plain[1]) <= 65535:
        return text
    from redis.connection import parse_url  # takes 0.3 s, which the parent of the workers need not spend

    try:
        parse_url(text)  # type: ignore[no-untyped-call]
    except ValueError:
        raise ValueError("a URL such as redis://127.0.0.1:6379/0") from None
    return text


def _store_url(text: str) -> str:
    if "+" not in text.partition("://")[0]:
        return _redis_url(text)
    from serving_gateway.contracts.online_address import parse_address

    parse_address(text)
    return text


def _collector_url(text: str) -> str:
    if text and not re.fullmatch(r"https?://[^\s/?#]+(/[^\s?#]*)?", text):
        raise ValueError("a URL such as http://127.0.0.1:4318")
    try:
        _ = urlsplit(text).port
    except ValueError:
        raise ValueError("a URL such as http://127.0.0.1:4318, with a port from 0 to 65535") from None
    return text


def _ratio(text: str) -> float:
    if not re.fullmatch(r"0(\.\d+)?|1(\.0+)?", text, re.ASCII):
        raise ValueError("a number from 0 to 1")
    return float(text)


def _identifier(text: str) -> str:
    if not text or len(text) > 64 or not all(c.isascii() and (c.isalnum() or c in "-_") for c in text):
        raise ValueError("1 to 64 letters, digits, '-' or '_'")
    return text


def _folder(text: str) -> Path:
    return Path(text).expanduser().resolve()


_port = _integer(1, 65535)


def _setting(variable: str, default: str, parse: Callable[[str], Any], doc: str, *, secret: bool = False) -> Any:
    metadata = {"variable": variable, "default": default, "parse": parse, "doc": doc, "secret": secret}
    return field(metadata=metadata, repr=not secret)


# Each default is a dataclass field that also carries variable, parser and meaning.
# ruff: noqa: RUF009
@dataclass(frozen=True, kw_only=True)
class Settings:
    """Resolved settings. Times are in the unit that the name ends with; paths are absolute."""

    host: str = _setting("GATEWAY_HOST", "127.0.0.1", str, "address to listen on")
    port: int = _setting("GATEWAY_PORT", "8000", _port, "port to listen on")
    redis_port: int = _setting("REDIS_PORT", "6379", _port, "Redis on loopback, where REDIS_URL is not set")
    redis_url: str = _setting(
        "REDIS_URL", "redis://127.0.0.1:{redis_port}/0", _redis_url, "rollout store, prediction stream, events"
    )
    features_redis_url: str = _setting(
        "FEATURES_REDIS_URL",
        "{redis_url}",
        _store_url,
        "online store: redis, redis+sentinel, redis+cluster, rediss for TLS",
    )
    triton_http_port: int = _setting(
        "TRITON_HTTP_PORT", "8100", _port, "Triton on loopback, where TRITON_HTTP is not set"
    )
    triton_http: str = _setting("TRITON_HTTP", "127.0.0.1:{triton_http_port}", _address, "Triton's HTTP endpoint")
    home: Path = _setting("PLATFORM_HOME", "{root}/.local", _folder, "state; the gateway's is in its gateway/")
    gateway_id: str = _setting(
        "GATEWAY_ID", "{hostname}-{port}", _identifier, "name in acknowledgements and spool; unique among live gateways"
    )
    event_clock: str = _setting(
        "EVENT_CLOCK", "wall", _one_of("wall", "replay"), "replay: follow the clock in Redis and accept event_time"
    )
    reflex: str = _setting("REFLEX", "on", _one_of("on", "off"), "on: a failing canary is stopped at once")
    deadline_ms: int = _setting(
        "GATEWAY_DEADLINE_MS", "1000", _integer(10, 600_000), "a /predict is answered within this; the canary has half"
    )
    shadow_queue_rows: int = _setting(
        "GATEWAY_SHADOW_QUEUE_ROWS", "4096", _integer(1, 10**7), "rows waiting for the shadow; more are dropped"
    )
    spool_max_bytes: int = _setting(
        "GATEWAY_SPOOL_MAX_BYTES", "268435456", _integer(1, 10**13), "unlanded log on disk; more is dropped and counted"
    )
    max_body_bytes: int = _setting("GATEWAY_MAX_BODY_BYTES", "8388608", _integer(1, 10**10), "larger bodies get 413")
    max_rows: int = _setting("GATEWAY_MAX_ROWS", "1024", _integer(1, 10**6), "instances in one request")
    group_commit: str = _setting(
        "GATEWAY_GROUP_COMMIT", "on", _one_of("on", "off"), "on: while a batch is in flight, rows gather for the next"
    )
    queue_rows: int = _setting(
        "GATEWAY_QUEUE_ROWS", "4096", _integer(1, 10**7), "rows that may wait for an arm; more are refused with 503"
    )
    workers: int = _setting(
        "GATEWAY_WORKERS", "1", _integer(1, 64), "processes that answer; queue and log bounds hold for each"
    )
    admin_token: str = _setting(
        "ADMIN_TOKEN", "", token, "a secret: who sends it may change the rollout; without one nobody may", secret=True
    )
    named_admin_tokens: tuple[NamedToken, ...] = _setting(
        "ADMIN_TOKEN_FILE", "", token_lines, "the same from a file: `token` or `name:token` a line", secret=True
    )
    api_keys: tuple[NamedToken, ...] = _setting(
        "API_KEYS_FILE",
        "",
        token_lines,
        "keys that predictions and feedback need, `key` or `name:key` a line",
        secret=True,
    )
    dagster_port: int = _setting("DAGSTER_PORT", "3000", _port, "Dagster on loopback, where DAGSTER_URL is not set")
    dagster_url: str = _setting(
        "DAGSTER_URL", "http://127.0.0.1:{dagster_port}", str, "Dagster, as the page links to it"
    )
    mlflow_port: int = _setting(
        "MLFLOW_PORT", "5000", _port, "MLflow on loopback, where MLFLOW_TRACKING_URI is not set"
    )
    mlflow_url: str = _setting(
        "MLFLOW_TRACKING_URI", "http://127.0.0.1:{mlflow_port}", str, "MLflow, as the page links to it"
    )
    reports_port: int = _setting("REPORTS_PORT", "8200", _port, "reports on loopback, where REPORTS_URL is not set")
    reports_url: str = _setting(
        "REPORTS_URL", "http://127.0.0.1:{reports_port}", str, "the served reports, as the page links to them"
    )
    features_away: str = _setting(
        "GATEWAY_FEATURES_AWAY",
        "refuse",
        _one_of("refuse", "default"),
        "while the online store is away: refuse with 503, or answer with every stored feature missing, flagged degraded",
    )
    max_connections: int = _setting(
        "GATEWAY_MAX_CONNECTIONS", "4096", _integer(1, 10**6), "open connections; the longest quiet one makes room"
    )
    receive_ms: int = _setting(
        "GATEWAY_RECEIVE_MS", "10000", _integer(100, 3_600_000), "a client has so long to send a request, or to read"
    )
    log_level: str = _setting(
        "LOG_LEVEL",
        "INFO",
        _one_of("DEBUG", "INFO", "WARNING", "ERROR"),
        "what the gateway logs: this and what is worse",
    )
    otlp_endpoint: str = _setting(
        "OTEL_EXPORTER_OTLP_ENDPOINT",
        "",
        _collector_url,
        "collector of traces, OTLP over HTTP; without one, no tracing",
    )
    service_name: str = _setting("OTEL_SERVICE_NAME", "serving_gateway", str, "name of the gateway in traces")
    traces_sampler: str = _setting(
        "OTEL_TRACES_SAMPLER", "parentbased_always_on", _one_of(*SAMPLERS), "which requests are traced"
    )
    traces_sampler_arg: float = _setting(
        "OTEL_TRACES_SAMPLER_ARG", "1.0", _ratio, "share of them, 0 to 1, where the sampler is by ratio"
    )

    @classmethod
    def load(cls, environ: Mapping[str, str]) -> "Settings":
        """Read `environ`; an empty value counts as unset. Raises SettingsError naming the variable."""
        return cls(**_resolved(environ, dataclasses.fields(cls)))

    @classmethod
    def table(cls) -> list[tuple[str, str, str]]:
        """(variable, default, meaning) of every setting, in order."""
        return [(f.metadata["variable"], f.metadata["default"], f.metadata["doc"]) for f in dataclasses.fields(cls)]

    @property
    def folder(self) -> Path:
        """Where the gateways of this machine keep their state."""
        return self.home / "gateway"

    @property
    def admin_tokens(self) -> tuple[NamedToken, ...]:
        """(name, token) of everybody who may change the rollout."""
        return (*((("", self.admin_token),) if self.admin_token else ()), *self.named_admin_tokens)

    @property
    def links(self) -> dict[str, str]:
        """What the page links to, by name: of the addresses those that a browser can open."""
        known = {"Dagster": self.dagster_url, "MLflow": self.mlflow_url, "Reports": self.reports_url}
        return {name: without_password(url) for name, url in known.items() if url.startswith(("http://", "https://"))}

    @property
    def replay(self) -> bool:
        """Whether the event clock is a replay's."""
        return self.event_clock == "replay"


def redis_url(environ: Mapping[str, str]) -> str:
    """Where Redis is, for a tool that needs no other setting. Raises SettingsError naming the variable."""
    needed = [f for f in dataclasses.fields(Settings) if f.name in ("redis_port", "redis_url")]
    found: str = _resolved(environ, needed)["redis_url"]
    return found


def without_password(url: str) -> str:
    """`url` as it may be shown: user and password are left out."""
    return re.sub(r"//.*@", "//", url)


def _resolved(environ: Mapping[str, str], fields: Iterable["dataclasses.Field[Any]"]) -> dict[str, Any]:
    """Values by field name; a default may use the fields before it."""
    hostname = "".join(c if c.isascii() and c.isalnum() else "-" for c in socket.gethostname())[:40]
    known: dict[str, Any] = {"root": ROOT, "hostname": hostname}
    found: dict[str, Any] = {}
    for f in fields:
        variable = f.metadata["variable"]
        text = environ.get(variable) or f.metadata["default"].format(**known, **found)
        try:
            found[f.name] = f.metadata["parse"](text)
        except ValueError as error:
            got = "" if f.metadata["secret"] else f", got {without_password(text)!r}"
            raise SettingsError(f"{variable} must be {error}{got}") from None
    return found
