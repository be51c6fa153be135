"""A real Prometheus that scrapes a running platform, each second, and answers queries."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import yaml

from orchestration.settings import Settings
from tests.servers import answers_200, free_port, running

PROMETHEUS = shutil.which("prometheus")
GAUGES = ("drift-24h", "drift-168h", "health", "rollout", "dagster", "platform")


@dataclass(frozen=True)
class PrometheusServer:
    """A Prometheus on loopback."""

    url: str

    def instant(self, expr: str) -> list[dict[str, Any]]:
        """The series that `expr` has now."""
        return self._ask("query", query=expr)

    def range(self, expr: str, start: float, end: float, step_s: float) -> list[dict[str, Any]]:
        """The series that `expr` has from `start` to `end`, UNIX seconds."""
        return self._ask("query_range", query=expr, start=start, end=end, step=step_s)

    def _ask(self, what: str, **parameters: Any) -> list[dict[str, Any]]:
        answer = httpx.post(f"{self.url}/api/v1/{what}", data=parameters, timeout=20, trust_env=False).json()
        assert answer["status"] == "success", answer
        return list(answer["data"]["result"])


def scraping(settings: Settings) -> dict[str, Any]:
    """Prometheus' configuration: the processes of the platform, and the files of gauges as one job."""

    def job(name: str, port: int) -> dict[str, Any]:
        return {"job_name": name, "static_configs": [{"targets": [f"127.0.0.1:{port}"]}]}

    files = [
        {"targets": [f"127.0.0.1:{settings.reports_port}"], "labels": {"file": name, "__metrics_path__": path}}
        for name, path in ((name, f"/prometheus/{name}.prom.txt") for name in GAUGES)
    ]
    processes = [
        job("serving", settings.gateway_port),
        job("triton", settings.triton_metrics_port),
        job("updater", settings.updater_port),
    ]
    # The gauges' own label `job` names a job of Dagster.
    gauges = {"job_name": "gauges", "honor_labels": True, "static_configs": files}
    return {"global": {"scrape_interval": "1s", "scrape_timeout": "1s"}, "scrape_configs": [*processes, gauges]}


@contextmanager
def prometheus(settings: Settings, folder: Path) -> Iterator[PrometheusServer]:
    """Scrape the platform of `settings` while the block runs."""
    assert PROMETHEUS is not None
    folder.mkdir(parents=True, exist_ok=True)
    configuration = folder / "prometheus.yml"
    configuration.write_text(yaml.safe_dump(scraping(settings)))
    url = f"http://127.0.0.1:{(port := free_port())}"
    command = [PROMETHEUS, f"--config.file={configuration}", f"--storage.tsdb.path={folder / 'data'}"]
    command += [f"--web.listen-address=127.0.0.1:{port}"]
    with running("prometheus", command, folder, lambda: answers_200(f"{url}/-/ready"), timeout_s=30):
        yield PrometheusServer(url)
