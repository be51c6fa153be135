"""Prometheus and Alertmanager of the embedded profile: their programs on this machine, their configuration under PLATFORM_HOME.

What is shipped in observability/ names hosts and secrets as the containers have them. Here each gets the ports and the files
of the settings.
"""

import glob
import json
import re
import shutil
from pathlib import Path
from typing import Any

from orchestration.settings import ROOT, Settings

SHIPPED = ROOT / "observability"
# Program -> the names it may be installed under; the first is Debian's.
_NAMES = {"prometheus": ("prometheus",), "alertmanager": ("prometheus-alertmanager", "alertmanager")}


class AlertingError(Exception):
    """Nobody could be told of an alert as the settings ask; the message names the variable."""


def installed() -> dict[str, str]:
    """Those of the two programs that this machine has, with their paths."""
    found = {program: next(filter(None, map(shutil.which, names)), None) for program, names in _NAMES.items()}
    return {program: path for program, path in found.items() if path}


def spare_ports() -> set[str]:
    """Settings of ports that nobody listens on here, for their program is not installed."""
    return {f"{program}_port" for program in _NAMES.keys() - installed()}


def addresses(settings: Settings) -> dict[str, str]:
    """Program -> base address, installed or not."""
    return {"prometheus": settings.prometheus_url, "alertmanager": settings.alertmanager_url}


def watching(settings: Settings) -> dict[str, str]:
    """Program -> base address of those that there are: on this machine, or where the settings say."""
    here = {program: f"http://127.0.0.1:{getattr(settings, f'{program}_port')}" for program in _NAMES}
    programs = installed()
    return {name: url for name, url in addresses(settings).items() if name in programs or url != here[name]}


def said(settings: Settings) -> list[tuple[str, str]]:
    """(what, where) of both programs and of who is told, for people to read."""
    there = watching(settings)
    lines = [
        (
            program.capitalize(),
            url if program in there else f"not installed: apt-get install {_NAMES[program][0]}, as root",
        )
        for program, url in addresses(settings).items()
    ]
    return [*lines, ("Alerts go to", told(settings))]


def told(settings: Settings) -> str:
    """Who is told of alerts, in words."""
    set_up = (("Slack", settings.posts_to_slack), ("PagerDuty", settings.pagerduty_routing_key_file))
    channels = [name for name, there in set_up if there]
    if not channels:
        return "nobody: set SLACK_WEBHOOK_URL and PAGERDUTY_ROUTING_KEY_FILE; Alertmanager shows them"
    return " and ".join(channels)


def prepare_alerting(settings: Settings) -> dict[str, str]:
    """Write both configurations; returns what the supervisor's configuration needs to know.

    Raises:
        AlertingError: a secret's file is not there.
        OSError: PLATFORM_HOME cannot be written.
    """
    _prometheus(settings)
    _alertmanager(settings)
    programs = installed()
    paths = (str(SHIPPED / program / "supervisord.conf") for program in programs)
    # The supervisor takes patterns apart by spaces: a mark for any character stands in for each.
    includes = " ".join("?".join(glob.escape(path).split()) for path in paths)
    return {**{program.upper(): path for program, path in programs.items()}, "SUPERVISOR_INCLUDES": includes}


def _prometheus(settings: Settings) -> None:
    folder = _fresh(settings.home / "prometheus", "rules")
    ports = {
        "serving:8000": settings.gateway_port,
        "triton:8102": settings.triton_metrics_port,
        "updater:8300": settings.updater_port,
        "incidents:8400": settings.incidents_port,
        "reports:8200": settings.reports_port,
        "prometheus:9090": settings.prometheus_port,
        "alertmanager:9093": settings.alertmanager_port,
    }
    text = (SHIPPED / "prometheus" / "prometheus.yml").read_text()
    for shipped, port in ports.items():
        text = text.replace(f'"{shipped}"', f'"127.0.0.1:{port}"')
    text = text.replace("- rules/*.yml", f"- {json.dumps(_all_of(folder / 'rules', '*.yml'))}")
    (folder / "prometheus.yml").write_text(text)


def _alertmanager(settings: Settings) -> None:
    import yaml

    folder = _fresh(settings.home / "alertmanager", "templates")
    told = alertmanager_configuration(settings, slack=_slack_secret(settings, folder))
    told["templates"] = [_all_of(folder / "templates", "*.tmpl")]
    for receiver in told["receivers"]:
        for hook in receiver.get("webhook_configs", []):
            hook["url"] = hook["url"].replace("//incidents:8400/", f"//127.0.0.1:{settings.incidents_port}/")
    (folder / "alertmanager.yml").write_text(yaml.safe_dump(told, sort_keys=False))


def alertmanager_configuration(settings: Settings, *, slack: Path | None) -> dict[str, Any]:
    """What is shipped, without whoever has no secret; `slack` is the file that holds the webhook's address.

    Raises:
        AlertingError: PagerDuty's secret is not there.
    """
    import yaml

    shipped: dict[str, Any] = yaml.safe_load((SHIPPED / "alertmanager" / "alertmanager.yml").read_text())
    secrets = {"slack_configs": slack, "pagerduty_configs": _pagerduty_secret(settings)}
    shipped["global"]["pagerduty_url"] = settings.pagerduty_url
    shipped["global"]["slack_api_url_file"] = str(slack)
    for receiver in shipped["receivers"]:
        for kind in [kind for kind, secret in secrets.items() if secret is None]:
            receiver.pop(kind, None)
        for page in receiver.get("pagerduty_configs", []):
            page["routing_key_file"] = str(secrets["pagerduty_configs"])
    if slack is None:
        del shipped["global"]["slack_api_url_file"]
    return shipped


def _fresh(folder: Path, part: str) -> Path:
    """`folder` with its `part` as it is shipped now: what an older platform has left would count, too."""
    folder.mkdir(parents=True, exist_ok=True)
    shutil.rmtree(folder / part, ignore_errors=True)
    shutil.copytree(SHIPPED / folder.name / part, folder / part)
    return folder


def _all_of(folder: Path, files: str) -> str:
    """A pattern as Go's filepath.Match has it: a folder's own name may hold its marks."""
    return re.sub(r"([*?\[\]])", r"\\\1", str(folder)) + f"/{files}"


def _slack_secret(settings: Settings, folder: Path) -> Path | None:
    """The file that holds the webhook's address: Alertmanager reads it from nowhere else. None where there is no webhook."""
    if settings.slack_webhook_url_file is not None:
        return _required("SLACK_WEBHOOK_URL_FILE", settings.slack_webhook_url_file)
    kept = folder / "slack-webhook-url"
    kept.unlink(missing_ok=True)
    if not settings.slack_webhook_url:
        return None
    kept.touch(mode=0o600)
    kept.write_text(settings.slack_webhook_url)
    return kept


def _pagerduty_secret(settings: Settings) -> Path | None:
    file = settings.pagerduty_routing_key_file
    return None if file is None else _required("PAGERDUTY_ROUTING_KEY_FILE", file)


def _required(variable: str, file: Path) -> Path:
    if not file.is_file():
        raise AlertingError(f"{variable} must be a file that can be read: {file}")
    return file
