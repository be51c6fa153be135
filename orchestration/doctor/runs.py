"""Which Dagster runs failed lately, and does the queue move? What `ray status` tells of a Ray cluster."""

import time
from collections.abc import Sequence
from typing import Any

import httpx

from orchestration.doctor.finding import Finding, State, duration
from orchestration.settings import Settings

LOOK_BACK_S = 24 * 3600.0
QUEUED_FOR_S = 10 * 60.0
_NAMED = 5
_RUNS = """
query Runs($after: Float!) {
  failed: runsOrError(filter: {statuses: [FAILURE], updatedAfter: $after}, limit: 50) { ...Found }
  active: runsOrError(filter: {statuses: [QUEUED, NOT_STARTED, STARTING, STARTED]}, limit: 50) { ...Found }
}
fragment Found on RunsOrError {
  ... on Runs { results { runId jobName status creationTime endTime assetSelection { path } } }
  ... on PythonError { message }
}"""


def check_runs(settings: Settings) -> list[Finding]:
    """Raises httpx.HTTPError where the webserver is away, ValueError where it refuses the question."""
    now = time.time()
    query = {"query": _RUNS, "variables": {"after": now - LOOK_BACK_S}}
    answer = httpx.post(f"{settings.dagster_api_url}/graphql", json=query, timeout=20, trust_env=False)
    data = answer.raise_for_status().json().get("data") or {}
    try:
        failed, active = data["failed"]["results"], data["active"]["results"]
    except (KeyError, TypeError):
        raise ValueError(f"Dagster does not say which runs there are: {answer.text[:300]}") from None
    return judge_runs(failed, active, now, settings.dagster_url)


def judge_runs(
    failed: Sequence[dict[str, Any]], active: Sequence[dict[str, Any]], now: float, url: str
) -> list[Finding]:
    """`failed` and `active` are runs as GraphQL gives them, the newest first; `now` in UNIX seconds."""
    found = [
        _finding(
            "attention",
            f"{_name(run)} failed {duration(now - (run['endTime'] or run['creationTime']))} ago: {url}/runs/{run['runId']}",
        )
        for run in failed[:_NAMED]
    ]
    if len(failed) > _NAMED:
        found.append(_finding("attention", f"{len(failed) - _NAMED} more failed within a day: {url}/runs"))
    queued = [run for run in active if run["status"] in {"QUEUED", "NOT_STARTED"}]
    stuck = [run for run in queued if now - run["creationTime"] > QUEUED_FOR_S]
    if stuck:
        waits = duration(max(now - run["creationTime"] for run in stuck))
        found.append(_finding("attention", f"{len(stuck)} runs are queued, the first for {waits}: {url}/runs"))
    busy = f"{len(active) - len(queued)} at work, {len(queued)} queued"
    return found or [_finding("ok", f"no run failed within a day; {busy}")]


def _name(run: dict[str, Any]) -> str:
    if not str(run["jobName"]).startswith("__"):
        return str(run["jobName"])
    return "the run of " + ", ".join(key["path"][-1] for key in run["assetSelection"] or [])


def _finding(state: State, says: str) -> Finding:
    return Finding("dagster runs", state, says, "3.4 Dagster")
