"""Prometheus and Alertmanager as `make up` configures them: ports and secrets of the settings, whatever the home is called."""

import shlex
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from orchestration.embedded import alerting
from orchestration.embedded.alerting import installed, prepare_alerting, said, spare_ports, watching
from orchestration.embedded.environment import NotReadyToStartError, prepare
from orchestration.embedded.health import probes
from orchestration.settings import Settings
from tests.servers import ROOT, free_port

VARIABLES = ("SLACK_WEBHOOK_URL", "SLACK_WEBHOOK_URL_FILE", "PAGERDUTY_ROUTING_KEY_FILE", "PAGERDUTY_URL")
ODD = "it's a home; #1 & more [x]"


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    return Settings(home=tmp_path / ODD, **{name: free_port() for name in Settings.port_defaults()})


def written(settings: Settings, program: str) -> Any:
    prepare_alerting(settings)
    return yaml.safe_load((settings.home / program / f"{program}.yml").read_text())


def receivers(settings: Settings) -> dict[str, Any]:
    return {receiver.pop("name"): receiver for receiver in written(settings, "alertmanager")["receivers"]}


def test_every_target_is_on_the_port_of_its_setting(settings: Settings) -> None:
    found = written(settings, "prometheus")
    targets = {
        config["job_name"]: {target for group in config["static_configs"] for target in group["targets"]}
        for config in [*found["scrape_configs"], {**found["alerting"]["alertmanagers"][0], "job_name": "told"}]
    }
    ports = {
        "serving": settings.gateway_port,
        "triton": settings.triton_metrics_port,
        "updater": settings.updater_port,
        "incidents": settings.incidents_port,
        "gauges": settings.reports_port,
        "prometheus": settings.prometheus_port,
        "alertmanager": settings.alertmanager_port,
        "told": settings.alertmanager_port,
    }
    assert targets == {job: {f"127.0.0.1:{port}"} for job, port in ports.items()}


def test_without_secrets_nobody_is_told_but_the_incidents_and_the_table_says_so(settings: Settings) -> None:
    hook = {"url": f"http://127.0.0.1:{settings.incidents_port}/alerts", "send_resolved": True}
    assert receivers(settings) == {"on-call": {"webhook_configs": [hook]}, "channel": {"webhook_configs": [hook]}}
    assert dict(said(settings))["Alerts go to"].startswith("nobody: set SLACK_WEBHOOK_URL")


def test_secrets_are_named_by_file_and_copied_nowhere(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    files = {name: settings.home.parent / name for name in ("SLACK_WEBHOOK_URL_FILE", "PAGERDUTY_ROUTING_KEY_FILE")}
    for name, file in files.items():
        file.write_text(f"secret of {name}\n")
        monkeypatch.setenv(name, str(file))
    monkeypatch.setenv("PAGERDUTY_URL", "http://127.0.0.1:1/v2/enqueue")
    document = written(settings, "alertmanager")
    assert document["global"]["slack_api_url_file"] == str(files["SLACK_WEBHOOK_URL_FILE"])
    assert document["global"]["pagerduty_url"] == "http://127.0.0.1:1/v2/enqueue"
    told = receivers(settings)
    assert set(told["on-call"]) == {"slack_configs", "pagerduty_configs", "webhook_configs"}
    assert set(told["channel"]) == {"slack_configs", "webhook_configs"}
    assert told["on-call"]["pagerduty_configs"][0]["routing_key_file"] == str(files["PAGERDUTY_ROUTING_KEY_FILE"])
    everything = "".join(file.read_text() for file in settings.home.rglob("*") if file.is_file())
    assert "secret of" not in everything
    assert settings.slack_webhook_url == "secret of SLACK_WEBHOOK_URL_FILE"
    assert dict(said(settings))["Alerts go to"] == "Slack and PagerDuty"


def test_the_webhook_of_the_notices_serves_the_alerts_too(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLACK_WEBHOOK_URL", "http://127.0.0.1:1/services/T/B/x")
    kept = Path(written(settings, "alertmanager")["global"]["slack_api_url_file"])
    assert (kept.read_text(), kept.stat().st_mode & 0o777) == ("http://127.0.0.1:1/services/T/B/x", 0o600)
    monkeypatch.delenv("SLACK_WEBHOOK_URL")
    assert "slack_api_url_file" not in written(settings, "alertmanager")["global"]
    assert not kept.exists()


@pytest.mark.parametrize("variable", ["SLACK_WEBHOOK_URL_FILE", "PAGERDUTY_ROUTING_KEY_FILE"])
def test_a_secret_that_is_not_there_is_one_clear_error(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    monkeypatch.setenv(variable, "/no/such/secret")
    with pytest.raises(NotReadyToStartError, match=f"{variable} must be a file that can be read: /no/such/secret"):
        prepare(settings)


def test_a_rule_that_is_no_longer_shipped_counts_no_more(settings: Settings) -> None:
    prepare_alerting(settings)
    (settings.home / "prometheus" / "rules" / "old.yml").write_text("groups: []")
    prepare_alerting(settings)
    shipped = {path.name for path in (ROOT / "observability" / "prometheus" / "rules").iterdir()}
    assert {path.name for path in (settings.home / "prometheus" / "rules").iterdir()} == shipped


@pytest.mark.skipif(shutil.which("promtool") is None, reason="no prometheus: as root, apt-get install prometheus")
def test_promtool_finds_the_rules_in_a_home_with_an_odd_name(settings: Settings) -> None:
    prepare_alerting(settings)
    check = ["promtool", "check", "config", str(settings.home / "prometheus" / "prometheus.yml")]
    done = subprocess.run(check, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    shipped = sorted((ROOT / "observability" / "prometheus" / "rules").iterdir())
    assert f"{len(shipped)} rule files found" in done.stdout


@pytest.mark.skipif(
    shutil.which("amtool") is None, reason="no alertmanager: as root, apt-get install prometheus-alertmanager"
)
def test_amtool_takes_what_is_written(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    for complete in (False, True):
        if complete:
            monkeypatch.setenv("SLACK_WEBHOOK_URL", "http://127.0.0.1:1/")
            monkeypatch.setenv("PAGERDUTY_ROUTING_KEY_FILE", __file__)
        prepare_alerting(settings)
        check = ["amtool", "check-config", str(settings.home / "alertmanager" / "alertmanager.yml")]
        done = subprocess.run(check, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        assert "1 templates" in done.stdout


def test_a_machine_without_the_programs_starts_without_them(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(alerting.shutil, "which", lambda _name: None)
    assert installed() == {}
    assert spare_ports() == {"prometheus_port", "alertmanager_port"}
    assert prepare_alerting(settings) == {"SUPERVISOR_INCLUDES": ""}
    assert not {"prometheus", "alertmanager"} & set(probes(settings))
    assert dict(said(settings))["Prometheus"] == "not installed: apt-get install prometheus, as root"
    assert "prometheus-alertmanager" in dict(said(settings))["Alertmanager"]


def test_programs_on_another_machine_are_asked_there(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(alerting.shutil, "which", lambda _name: None)
    assert watching(settings) == {}
    monkeypatch.setenv("PROMETHEUS_URL", "http://prometheus:9090")
    assert watching(settings) == {"prometheus": "http://prometheus:9090"}
    assert dict(said(settings))["Prometheus"] == "http://prometheus:9090"
    assert "prometheus" in probes(settings)


@pytest.mark.parametrize("here", [set(), {"prometheus"}, {"prometheus", "alertmanager"}])
def test_the_supervisor_reads_the_programs_that_are_there(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, here: set[str]
) -> None:
    """Its own parser, over what is shipped."""
    from supervisor.options import ServerOptions

    monkeypatch.setattr(alerting, "installed", lambda: {name: f"/a path/{name}" for name in here})
    for name, value in prepare(settings).items():
        monkeypatch.setenv(name, value)
    options = ServerOptions()
    options.realize(["-c", str(ROOT / "supervisord.conf")])
    assert options.parse_warnings == []
    commands = {p.name: p.command for group in options.process_group_configs for p in group.process_configs}
    assert set(commands) & {"gateway", "prometheus", "alertmanager"} == {"gateway"} | here
    for name in here:
        program, *arguments = shlex.split(commands[name])
        assert program == f"/a path/{name}"
        assert f"--config.file={settings.home}/{name}/{name}.yml" in arguments
        assert f"--web.listen-address=127.0.0.1:{getattr(settings, f'{name}_port')}" in arguments


def test_alertmanager_is_found_by_either_of_its_names(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("prometheus-alertmanager", "alertmanager"):
        monkeypatch.setattr(alerting.shutil, "which", {name: f"/bin/{name}"}.get)
        assert installed() == {"alertmanager": f"/bin/{name}"}
