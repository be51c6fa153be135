"""`make doctor`: the runbook's immediate checks in one command."""

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict

import httpx
import redis

from orchestration.console import table_console
from orchestration.doctor.alerts import check_alerts
from orchestration.doctor.drift import check_drift
from orchestration.doctor.features import check_features
from orchestration.doctor.finding import Finding, Section
from orchestration.doctor.follow_up import check_follow_up
from orchestration.doctor.gateway import check_gateway
from orchestration.doctor.health import check_health
from orchestration.doctor.prediction_log import check_prediction_log
from orchestration.doctor.runs import check_runs
from orchestration.doctor.services import check_services
from orchestration.doctor.triton import check_triton
from orchestration.doctor.updater import check_updater
from orchestration.settings import Settings
from serving_gateway.control.store import UnreadableDocumentError

Check = Callable[[Settings], list[Finding]]

CHECKS: dict[str, tuple[Check, Section]] = {
    "services": (check_services, "2. Immediate checks"),
    "gateway": (check_gateway, "3.1 Gateway"),
    "triton": (check_triton, "3.2 Triton"),
    "online store": (check_features, "3.3 Online features"),
    "live events": (check_updater, "3.3 Online features"),
    "prediction log": (check_prediction_log, "3.5 Prediction log"),
    "dagster runs": (check_runs, "3.4 Dagster"),
    "drift report": (check_drift, "3.6 Drift"),
    "model health": (check_health, "3.6 Drift"),
    "alerts": (check_alerts, "3.9 Alerts"),
    "follow-up": (check_follow_up, "7. After the incident"),
}


def examine(settings: Settings) -> list[Finding]:
    """Every check at once. One whose neighbour is away says so, and keeps no other from looking."""
    with ThreadPoolExecutor(len(CHECKS)) as pool:
        return [found for findings in pool.map(lambda name: _looked_at(name, settings), CHECKS) for found in findings]


def main(arguments: list[str] | None = None) -> int:
    """Exit 1 while anything is down, 2 where the settings are bad, else 0."""
    parser = argparse.ArgumentParser(
        prog="python -m orchestration.doctor",
        description="Look at every part of the running platform. Exit 1 while anything is down; docs/runbook.md goes on from there.",
    )
    parser.add_argument("--json", action="store_true", help="one JSON array instead of a table")
    options = parser.parse_args(arguments)
    try:
        settings = Settings.load()
    except ValueError as error:
        print(f"doctor: {error}", file=sys.stderr)
        return 2
    found = examine(settings)
    if options.json:
        print(json.dumps([asdict(finding) for finding in found], indent=2))
    else:
        _show(found)
    return int(any(finding.state == "down" for finding in found))


def _looked_at(name: str, settings: Settings) -> list[Finding]:
    check, section = CHECKS[name]
    try:
        return check(settings)
    except (httpx.HTTPError, redis.RedisError, OSError, UnreadableDocumentError, ValueError) as error:
        return [Finding(name, "attention", f"could not be looked at: {error}", section)]
    except (LookupError, TypeError, AttributeError) as error:
        foreign = (
            f"answers, but not as ours ({type(error).__name__}: {error}): is it another's port, or another version?"
        )
        return [Finding(name, "attention", foreign, section)]


def _show(found: Sequence[Finding]) -> None:
    from rich.markup import escape
    from rich.table import Table

    colours = {"ok": "green", "attention": "yellow", "down": "red"}
    table = Table("check", "state", "what", "docs/runbook.md")
    for f in found:
        where = "" if f.state == "ok" else f.section
        table.add_row(f.check, f"[{colours[f.state]}]{f.state}[/]", escape(f.says), where)
    console = table_console()
    console.print(table)
    count = {state: sum(f.state == state for f in found) for state in ("down", "attention")}
    console.print(
        "All is well." if not any(count.values()) else f"{count['down']} down, {count['attention']} attention"
    )


if __name__ == "__main__":
    sys.exit(main())
