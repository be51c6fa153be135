"""The step that the rest leads up to: evidence convicts the canary, and a sensor's run takes its traffic away."""

import threading
import time

from orchestration.demo import plan
from orchestration.demo.dagster_runs import entries
from orchestration.demo.narrator import Live, StepFailedError
from orchestration.demo.story import Story, require_no_errors, served_canary_weight, show
from orchestration.replay.client import Replay
from orchestration.replay.timeline import Minute

SENSOR = "rollback_on_failed_verdict"
TIMEOUT_S = 90.0
# Until noon the evidence gathers; the afternoon goes on at this pace while the verdict is found and acted on.
EVIDENCE_SHARE = 0.75
PACE_MINUTES_PER_S = 10.0


def convict(story: Story, live: Live) -> None:
    """Replay a day with the canary, have it judged, see the sensor roll it back under traffic that goes on."""
    minutes = story.minutes(plan.CANARY_DAY)
    gathered = int(len(minutes) * EVIDENCE_SHARE)
    replay = story.replay()
    replay.run(minutes[:gathered], after_minute=show(replay, live))
    require_no_errors(replay.tally)
    story.narrator.tell(
        f"{replay.tally.requests} flights of {plan.CANARY_DAY:%-d %B}: {dict(replay.tally.by_arm)}, 0 errors"
    )

    going_on = _Traffic(replay, minutes[gathered:])
    with going_on:
        launched = time.time()
        ops = {"canary_verdict": {"roll_back_at_once": False}}
        run = story.finish(live, "judge_canary", ops=ops)
        check = run.check("canary_is_no_worse")
        if check is None or check["success"]:
            raise StepFailedError(f"the verdict did not convict the canary: {run.failure} ({run.url})")
        story.narrator.tell(f"The check failed: {entries(check['metadataEntries'])['reason']}")
        live("the sensor sees it and requests the rollback")
        zero_at = _wait_for_zero(story)
    require_no_errors(replay.tally)
    story.narrator.figures["time_to_zero_seconds"] = round(zero_at - check["timestamp"], 2)
    story.narrator.figures["user_visible_errors"] = sum(replay.tally.errors.values())
    _tell_audit(story, launched, zero_at - check["timestamp"])


def _wait_for_zero(story: Story) -> float:
    """UNIX time at which the gateway first served no canary."""
    deadline = time.monotonic() + TIMEOUT_S
    while served_canary_weight(story.settings):
        if time.monotonic() > deadline:
            raise StepFailedError(f"the canary still has traffic after {TIMEOUT_S:.0f} s")
        time.sleep(0.02)
    return time.time()


def _tell_audit(story: Story, launched: float, seconds: float) -> None:
    last = story.store.history(1)[0]
    run_id = story.runs.launched_by_sensor("rollback", SENSOR, after=launched)
    if run_id is None or run_id not in last.actor:
        raise StepFailedError(f"the audit names {last.actor!r}, not a run of the sensor")
    story.narrator.tell(f"Canary traffic at zero {seconds:.1f} s after the check failed; no request failed meanwhile")
    story.narrator.tell(f"Audit: generation {last.generation}, {last.phase}, by {last.actor}")
    run = story.runs.wait(run_id)  # a stack that stops now would cut off what follows the rollback
    if run.status != "SUCCESS":
        raise StepFailedError(f"the rollback's run failed: {run.failure} ({run.url})")
    story.narrator.tell(f"Rollback run: {run.url}")


class _Traffic:
    """The rest of the day, replayed in the background at a steady pace until the block ends."""

    def __init__(self, replay: Replay, minutes: list[Minute]) -> None:
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(replay, minutes), daemon=True)
        self._error: BaseException | None = None

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        if self._error is not None:
            raise StepFailedError(f"the traffic stopped: {self._error!r}") from self._error

    def _run(self, replay: Replay, minutes: list[Minute]) -> None:
        try:
            for minute in minutes:
                if self._stop.is_set():
                    return
                replay.run([minute], minutes_per_second=PACE_MINUTES_PER_S)
        except BaseException as error:  # noqa: BLE001 - raised again by the thread that waits
            self._error = error
