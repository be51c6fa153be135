"""Launch runs over the Dagster webserver's GraphQL, exactly as its UI does, and wait for them."""

import time
from dataclasses import dataclass
from typing import Any

import httpx

_LOCATION = "{ repositoriesOrError { ... on RepositoryConnection { nodes { name location { name } } } } }"
_LAUNCH = """
mutation Launch($params: ExecutionParams!) {
  launchRun(executionParams: $params) {
    __typename
    ... on LaunchRunSuccess { run { runId } }
    ... on PythonError { message }
    ... on RunConfigValidationInvalid { errors { message } }
    ... on InvalidSubsetError { message }
  }
}"""
_RUN = """
query Run($id: ID!) {
  runOrError(runId: $id) { ... on Run { runId status startTime endTime tags { key value } } }
}"""
_RUNS = """
query Runs($job: String!) {
  runsOrError(filter: {pipelineName: $job}, limit: 20) {
    ... on Runs { results { runId status creationTime startTime endTime tags { key value } } }
  }
}"""
_EVENTS = """
query Events($id: ID!, $after: String) {
  logsForRun(runId: $id, afterCursor: $after) {
    ... on EventConnection { cursor hasMore events {
      __typename
      ... on MessageEvent { message timestamp }
      ... on MaterializationEvent { assetKey { path } metadataEntries { ...Metadata } }
      ... on AssetCheckEvaluationEvent { evaluation { checkName success timestamp metadataEntries { ...Metadata } } }
      ... on ExecutionStepFailureEvent { error { message causes { message } } }
    } }
  }
}
fragment Metadata on MetadataEntry {
  label
  ... on FloatMetadataEntry { floatValue }
  ... on IntMetadataEntry { intValue }
  ... on TextMetadataEntry { text }
  ... on UrlMetadataEntry { url }
}"""
FINISHED = {"SUCCESS", "FAILURE", "CANCELED"}
POLL_S = 0.5  # an answer costs the webserver some hundredths of a second of a processor
Event = dict[str, Any]


class DagsterError(Exception):
    """The webserver refused a launch, or a run did not end in time; the message carries its reason."""


@dataclass(frozen=True)
class Run:
    """A run as the webserver sees it. `events` are its log's structured entries."""

    run_id: str
    status: str
    url: str
    events: list[Event]

    def metadata(self, asset: str) -> dict[str, Any]:
        """Label to value of the latest materialization of `asset` (its last path element) in this run."""
        for event in reversed(self.events):
            if event["__typename"] == "MaterializationEvent" and event["assetKey"]["path"][-1] == asset:
                return entries(event["metadataEntries"])
        return {}

    def check(self, name: str) -> Event | None:
        """The last evaluation of the asset check `name` in this run: success, timestamp (UNIX s), metadataEntries."""
        evaluations = [e["evaluation"] for e in self.events if e["__typename"] == "AssetCheckEvaluationEvent"]
        return next((e for e in reversed(evaluations) if e["checkName"] == name), None)

    @property
    def failure(self) -> str:
        """What the first failed step says, its innermost cause first; else the run's status."""
        errors = [e["error"] for e in self.events if e["__typename"] == "ExecutionStepFailureEvent" and e["error"]]
        if not errors:
            return self.status
        causes = errors[0]["causes"]
        return str((causes[-1] if causes else errors[0])["message"]).strip()


class DagsterRuns:
    """Client of one webserver at `url`."""

    def __init__(self, url: str) -> None:
        self._url = url
        # the first launch waits for the code location; on a machine at work that took more than half a minute
        self._http = httpx.Client(timeout=120, trust_env=False)
        nodes = self.ask(_LOCATION, {})["repositoriesOrError"]["nodes"]
        self.repository = {"repositoryName": nodes[0]["name"], "repositoryLocationName": nodes[0]["location"]["name"]}

    def launch(self, job: str, *, ops: dict[str, Any] | None = None, tags: dict[str, str] | None = None) -> str:
        """Queue a run of `job` with the given op configuration; returns its id. Raises DagsterError if refused."""
        run_config = {"ops": {name: {"config": config} for name, config in (ops or {}).items()}}
        params = {
            "selector": {**self.repository, "pipelineName": job},
            "runConfigData": run_config,
            "executionMetadata": {"tags": [{"key": k, "value": v} for k, v in (tags or {}).items()]},
        }
        answer = self.ask(_LAUNCH, {"params": params})["launchRun"]
        if answer["__typename"] != "LaunchRunSuccess":
            raise DagsterError(f"{job} was not launched: {answer}")
        return str(answer["run"]["runId"])

    def wait(self, run_id: str, *, timeout_s: float = 240.0) -> Run:
        """Wait for the run's end; returns it with its events, whatever its status. Raises DagsterError on time-out."""
        deadline = time.monotonic() + timeout_s
        while True:
            status = self.ask(_RUN, {"id": run_id})["runOrError"]["status"]
            if status in FINISHED:
                return self.run(run_id, status)
            if time.monotonic() > deadline:
                raise DagsterError(f"run {run_id} is still {status} after {timeout_s:.0f} s: {self._url}/runs/{run_id}")
            time.sleep(POLL_S)

    def run(self, run_id: str, status: str) -> Run:
        """The run with its events as they stand."""
        events: list[Event] = []
        page: dict[str, Any] = {"cursor": None, "hasMore": True}
        while page["hasMore"]:  # a page holds a thousand; a range of days has more
            page = self.ask(_EVENTS, {"id": run_id, "after": page["cursor"]})["logsForRun"]
            events += page["events"]
        return Run(run_id, status, f"{self._url}/runs/{run_id}", events)

    def launched_by_sensor(self, job: str, sensor: str, *, after: float) -> str | None:
        """Id of a run of `job` that `sensor` requested after the UNIX time `after`, or None yet."""
        for run in self.ask(_RUNS, {"job": job})["runsOrError"]["results"]:
            tags = {tag["key"]: tag["value"] for tag in run["tags"]}
            if tags.get("dagster/sensor_name") == sensor and run["creationTime"] >= after:
                return str(run["runId"])
        return None

    def ask(self, query: str, variables: dict[str, Any]) -> dict[str, Any]:
        """`data` of a GraphQL answer. Raises DagsterError with the first error."""
        answer = self._http.post(f"{self._url}/graphql", json={"query": query, "variables": variables}).json()
        if answer.get("errors"):
            raise DagsterError(f"GraphQL: {answer['errors'][0]['message']}")
        data: dict[str, Any] = answer["data"]
        return data


def entries(metadata: list[Event]) -> dict[str, Any]:
    """Label to value of GraphQL metadata entries."""
    kinds = ("floatValue", "intValue", "text", "url")
    return {entry["label"]: next((entry[k] for k in kinds if k in entry), None) for entry in metadata}
