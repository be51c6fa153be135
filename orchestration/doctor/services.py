"""Does every process of the platform answer?"""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from orchestration.doctor.finding import Finding, Section
from orchestration.embedded.health import Probe, probes
from orchestration.settings import Settings

# Service of embedded/health.py -> (its log, the section of the runbook).
WHERE: dict[str, tuple[str, Section]] = {
    "redis": ("redis.log", "3.3 Online features"),
    "triton": ("triton.log", "3.2 Triton"),
    "mlflow": ("mlflow.log", "3.7 MLflow"),
    "updater": ("updater.log", "3.3 Online features"),
    "gateway": ("gateway.log", "3.1 Gateway"),
    "incidents": ("incidents.log", "7. After the incident"),
    "reports": ("reports.log", "3.6 Drift"),
    "dagster webserver": ("webserver.log", "3.4 Dagster"),
    "dagster definitions": ("code-server.log", "3.4 Dagster"),
    "dagster daemon": ("daemon.log", "3.4 Dagster"),
    "prometheus": ("prometheus.log", "3.9 Alerts"),
    "alertmanager": ("alertmanager.log", "3.9 Alerts"),
}


def check_services(settings: Settings) -> list[Finding]:
    """Ask all of them at once: a platform that is down shall not take a time-out for each."""
    asked = probes(settings)
    with ThreadPoolExecutor(len(asked)) as pool:
        answers = dict(zip(asked, pool.map(_answer, asked.values()), strict=True))
    return judge_services(answers, settings.home / "log")


def judge_services(answers: Mapping[str, bool], logs: Path) -> list[Finding]:
    """One line while all are up, else a line for each that is not."""
    down = [name for name, up in answers.items() if not up]
    if not down:
        return [Finding("services", "ok", f"each of the {len(answers)} answers", "2. Immediate checks")]
    if len(down) == len(answers):
        says = f"none of {len(answers)} answers: is the platform up (make up), and are its ports the same here?"
        return [Finding("services", "down", says, "2. Immediate checks")]
    return [Finding(name, "down", f"does not answer{_its_log(logs / WHERE[name][0])}", WHERE[name][1]) for name in down]


def _its_log(path: Path) -> str:
    """Containers keep theirs elsewhere."""
    return f"; its log is {path}" if path.exists() else ""


def _answer(probe: Probe) -> bool:
    return probe()
