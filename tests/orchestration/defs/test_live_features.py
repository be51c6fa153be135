"""What Dagster shows of the live features, over a real Redis: an observation, a check, and one notice when they turn stale."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest
import redis

from orchestration.defs.live import FRESH, STALE, WELL, features_are_fresh, live_features, observe_live_features
from orchestration.features.live.events import Progress, micros
from orchestration.features.live.stream import send
from orchestration.features.live.watermark import Refill, Watermark, write_watermark
from orchestration.notices.journal import read
from serving_gateway.control.store import RolloutStore
from tests.servers import free_port

pytestmark = pytest.mark.integration
NOW = datetime(2013, 5, 1, 12, tzinfo=UTC)


@pytest.fixture
def client(redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> "redis.Redis":
    """A replay at NOW, and a platform's home."""
    for name, value in (("REDIS_URL", redis_url), ("PLATFORM_HOME", str(tmp_path)), ("EVENT_CLOCK", "replay")):
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("SLACK_WEBHOOK_URL", raising=False)
    client = redis.Redis.from_url(redis_url)
    RolloutStore(client).advance_clock(NOW)
    return client


def applied(client: "redis.Redis", behind: timedelta, **told: object) -> None:
    """Everything in the stream is applied, up to `behind` before the clock."""
    position = send(client, [Progress(at=NOW - behind)])
    assert position
    told |= {"base": "b", "position": position, "watermark_us": micros(NOW - behind)}
    write_watermark(client, Watermark(**told))  # type: ignore[arg-type]


def tick(cursor: str | None = None) -> dg.SensorResult | dg.SkipReason:
    found = observe_live_features(dg.build_sensor_context(cursor=cursor))
    assert isinstance(found, dg.SensorResult | dg.SkipReason)
    return found


def events(found: dg.SensorResult | dg.SkipReason) -> tuple[dg.AssetObservation, dg.AssetCheckEvaluation]:
    assert isinstance(found, dg.SensorResult)
    observation, evaluation = found.asset_events or ()
    assert isinstance(observation, dg.AssetObservation)
    assert isinstance(evaluation, dg.AssetCheckEvaluation)
    return observation, evaluation


def test_fresh_features_are_observed_with_their_figures(client: "redis.Redis") -> None:
    applied(
        client,
        timedelta(minutes=1),
        events=70,
        late=2,
        last_refill=Refill(reason="start", seconds=1.5, at_us=1, rows=9),
    )
    found = tick()
    observation, evaluation = events(found)
    assert (observation.asset_key, found.cursor) == (live_features.key, WELL)  # type: ignore[union-attr]
    assert observation.metadata["behind the event clock, s"].value == 60
    assert observation.metadata["watermark"].value == "2013-05-01T11:59:00+00:00"
    assert observation.metadata["events"].value == 70
    assert observation.metadata["late"].value == 2
    assert observation.metadata["last refill"].value == "start, 1.5 s"
    assert (evaluation.asset_check_key, evaluation.passed) == (FRESH, True)


def test_stale_features_fail_the_check_and_are_told_of_once(client: "redis.Redis", tmp_path: Path) -> None:
    applied(client, timedelta(minutes=10))
    first = tick(WELL)
    again = tick(first.cursor)  # type: ignore[union-attr]
    for found in (first, again):
        assert found.cursor == STALE  # type: ignore[union-attr]
        assert not events(found)[1].passed
        assert events(found)[1].severity == dg.AssetCheckSeverity.WARN
    (notice,) = read(tmp_path / "notices.jsonl").notices
    assert (notice.severity, notice.title) == ("SEV3", "Live features are stale")
    assert "600 s behind the event clock" in notice.text
    applied(client, timedelta(0))
    assert tick(STALE).cursor == WELL  # type: ignore[union-attr]


def checked() -> dg.AssetCheckEvaluation:
    """The check as the UI runs it."""
    job = dg.Definitions(assets=[live_features], asset_checks=[features_are_fresh]).get_implicit_global_asset_job_def()
    (evaluation,) = job.execute_in_process().get_asset_check_evaluations()
    assert isinstance(evaluation, dg.AssetCheckEvaluation)
    return evaluation


def test_the_check_in_the_ui_says_the_same(client: "redis.Redis") -> None:
    for behind, passed in ((timedelta(minutes=10), False), (timedelta(0), True)):
        applied(client, behind)
        evaluation = checked()
        assert (evaluation.asset_check_key, evaluation.passed) == (FRESH, passed)


def test_the_check_does_not_pass_where_nothing_is_known(client: "redis.Redis") -> None:
    evaluation = checked()
    assert not evaluation.passed
    assert "does the program `updater` run?" in str(evaluation.metadata["reason"].value)


def test_before_a_replay_there_is_nothing_to_say(client: "redis.Redis") -> None:
    assert "no updater has written a watermark" in str(tick())
    applied(client, timedelta(0))
    client.flushall()
    write_watermark(client, Watermark(problem="no base: materialize online_store"))
    assert "no base: materialize online_store" in str(tick())


def test_in_production_the_wall_is_the_clock(client: "redis.Redis", monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EVENT_CLOCK", "wall")
    applied(client, timedelta(0))  # fresh for a replay that stands at NOW, years old on the wall
    assert not events(tick())[1].passed
    write_watermark(client, Watermark(base="b", position="9999999999999-0", watermark_us=micros(datetime.now(UTC))))
    assert events(tick())[1].passed


def test_a_redis_that_is_away_is_a_reason(monkeypatch: pytest.MonkeyPatch, client: "redis.Redis") -> None:
    monkeypatch.setenv("REDIS_URL", f"redis://127.0.0.1:{free_port()}/0")
    assert "Redis does not answer" in str(tick())
