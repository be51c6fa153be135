"""The last step: what the daemon did by itself meanwhile, and what it waits for."""

import time
from datetime import UTC, datetime
from typing import Any

from orchestration.demo.narrator import Live, StepFailedError
from orchestration.demo.story import Story

RECORDER = "record_rollout_changes"
TIMEOUT_S = 30.0
_AUTOMATION = """
query Automation($repository: RepositorySelector!) {
  repositoryOrError(repositorySelector: $repository) { ... on Repository {
    schedules { name scheduleState { status ticks(limit: 100) { status } } futureTicks(limit: 1) { results { timestamp } } }
    sensors { name sensorState { status ticks(limit: 500) { status runIds } } }
  } }
}"""
_MATERIALIZED = """
query Materialized { assetOrError(assetKey: {path: ["rollout_state"]}) { ... on Asset {
  assetMaterializations(limit: 100) { metadataEntries { label ... on IntMetadataEntry { intValue } } }
} } }"""


def show_automation(story: Story, live: Live) -> None:
    """Schedules with their next tick, sensors with what they requested, the rollout's changes as Dagster recorded them."""
    live("Dagster records the last change of the rollout")
    generations = _recorded(story)
    found = story.runs.ask(_AUTOMATION, {"repository": story.runs.repository})["repositoryOrError"]
    schedules = [_next_tick(s) for s in found["schedules"] if s["scheduleState"]["status"] == "RUNNING"]
    sensors = [s for s in found["sensors"] if s["sensorState"]["status"] == "RUNNING"]
    requested = sum(len(tick["runIds"]) for s in sensors for tick in s["sensorState"]["ticks"])
    story.narrator.tell(f"{len(schedules)} schedules are on; next in UTC: {', '.join(schedules)}")
    story.narrator.tell(
        f"{len(sensors)} sensors are on ({', '.join(s['name'] for s in sensors)}); they requested {requested} run(s) in this story"
    )
    story.narrator.tell(
        f"{RECORDER} made materializations of the asset rollout_state of {len(generations)} rollout changes: "
        f"{story.settings.dagster_url}/assets/rollout_state"
    )
    story.narrator.tell(f"Switch any of them: {story.settings.dagster_url}/automation")


def _recorded(story: Story) -> list[int]:
    """Generations that Dagster has recorded, once the one that stands is among them."""
    state = story.store.read()
    assert state is not None  # every step before has served something
    deadline = time.monotonic() + TIMEOUT_S
    while True:
        made = story.runs.ask(_MATERIALIZED, {})["assetOrError"].get("assetMaterializations", [])
        recorded = [entry["intValue"] for one in made for entry in one["metadataEntries"] if _is_generation(entry)]
        if state.generation in recorded:
            return sorted(set(recorded))
        if time.monotonic() > deadline:
            raise StepFailedError(f"{RECORDER} did not record generation {state.generation} within {TIMEOUT_S:.0f} s")
        time.sleep(0.2)


def _is_generation(entry: dict[str, Any]) -> bool:
    return bool(entry["label"] == "generation" and "intValue" in entry)


def _next_tick(schedule: dict[str, Any]) -> str:
    at = datetime.fromtimestamp(schedule["futureTicks"]["results"][0]["timestamp"], UTC)
    return f"{schedule['name']} {at:%a %H:%M}"
