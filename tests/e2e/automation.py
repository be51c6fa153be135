"""Schedules and sensors as the UI handles them: switched on and off, and their ticks read, over GraphQL."""

import time
from collections.abc import Callable
from typing import Any

from orchestration.demo.dagster_runs import DagsterRuns

SCHEDULES = (
    "daily_features", "weekly_challenger", "daily_drift_report", "daily_health", "daily_skew_check", "log_landing",
)  # fmt: skip
# Sensors that start work unasked; tests switch them on when they want it.
WORKING_SENSORS = ("ingest_completed_days", "retrain_on_drift")
_SCHEDULE = """query Schedule($of: ScheduleSelector!) { scheduleOrError(scheduleSelector: $of) { ... on Schedule {
    scheduleState { ...State } } } }"""
_SENSOR = """query Sensor($of: SensorSelector!) { sensorOrError(sensorSelector: $of) { ... on Sensor {
    sensorState { ...State } } } }"""
_STATE = """fragment State on InstigationState { id status ticks(limit: 20) {
    status timestamp skipReason runIds cursor error { message } } }"""
_START_SCHEDULE = """mutation StartThisSchedule($of: ScheduleSelector!) { startSchedule(scheduleSelector: $of) {
    __typename ... on PythonError { message } } }"""
_STOP_SCHEDULE = """mutation StopSchedule($id: String!) { stopRunningSchedule(id: $id) {
    __typename ... on PythonError { message } } }"""
_START_SENSOR = """mutation StartSensor($of: SensorSelector!) { startSensor(sensorSelector: $of) {
    __typename ... on PythonError { message } } }"""
_STOP_SENSOR = """mutation StopRunningSensor($id: String!) { stopSensor(id: $id) {
    __typename ... on PythonError { message } } }"""

Tick = dict[str, Any]


class Automation:
    """The Automation page of one webserver."""

    def __init__(self, runs: DagsterRuns) -> None:
        self._runs = runs

    def start(self, name: str) -> float:
        """Switch it on; returns the UNIX time before."""
        began = time.time()
        mutation = _START_SCHEDULE if name in SCHEDULES else _START_SENSOR
        (answer,) = self._runs.ask(mutation, {"of": self._selector(name)}).values()
        assert answer["__typename"] in {"ScheduleStateResult", "Sensor"}, answer
        return began

    def stop(self, name: str) -> None:
        mutation = _STOP_SCHEDULE if name in SCHEDULES else _STOP_SENSOR
        (answer,) = self._runs.ask(mutation, {"id": self.state(name)["id"]}).values()
        assert answer["__typename"] in {"ScheduleStateResult", "StopSensorMutationResult"}, answer

    def state(self, name: str) -> dict[str, Any]:
        """Its id, status and latest ticks, newest first."""
        query = _SCHEDULE if name in SCHEDULES else _SENSOR
        (found,) = self._runs.ask(query + _STATE, {"of": self._selector(name)}).values()
        (state,) = found.values()
        return dict(state)

    def wait_for_tick(
        self, name: str, holds: Callable[[Tick], object], *, after: float, timeout_s: float = 90.0
    ) -> Tick:
        """The first tick since `after` for which `holds`; fails with the ticks that were there instead."""
        deadline = time.monotonic() + timeout_s
        while True:
            ticks = [tick for tick in self.state(name)["ticks"] if tick["timestamp"] >= after - 1]
            if found := [tick for tick in ticks if holds(tick)]:
                return found[-1]
            assert time.monotonic() < deadline, f"{name} did not tick so within {timeout_s:.0f} s, but so: {ticks}"
            time.sleep(0.2)

    def _selector(self, name: str) -> dict[str, str]:
        kind = "scheduleName" if name in SCHEDULES else "sensorName"
        return {**self._runs.repository, kind: name}


def requested_runs(tick: Tick) -> bool:
    return tick["status"] == "SUCCESS" and bool(tick["runIds"])
