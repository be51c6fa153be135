"""README's table of schedules and sensors is what the definitions say, and every one of them describes itself."""

import re

import dagster as dg
import pytest

from orchestration.definitions import defs
from tests.docs.markdown import README, table

TABLE = table(README, "Schedules and sensors")


@pytest.fixture(scope="module")
def repository() -> dg.RepositoryDefinition:
    return defs().get_repository_def()


def test_the_table_names_every_one_and_no_other(repository: dg.RepositoryDefinition) -> None:
    assert set(TABLE) == {found.name for found in (*repository.schedule_defs, *repository.sensor_defs)}


def test_on_or_off_is_as_the_table_says(repository: dg.RepositoryDefinition) -> None:
    for found in (*repository.schedule_defs, *repository.sensor_defs):
        _, default, _ = TABLE[found.name]
        assert default == {"RUNNING": "on", "STOPPED": "off"}[found.default_status.value], found.name


def test_when_is_as_the_table_says(repository: dg.RepositoryDefinition, monkeypatch: pytest.MonkeyPatch) -> None:
    from orchestration.settings import Settings

    for sensor in repository.sensor_defs:
        assert TABLE[sensor.name][2] == f"every {sensor.minimum_interval_seconds} s"
    shown = {TABLE[schedule.name][2] for schedule in repository.schedule_defs}
    variables = {found[1]: found[2] for text in shown if (found := re.fullmatch(r"`(CRON_\w+)` `(.+)`", text))}
    for name in variables:
        monkeypatch.delenv(name, raising=False)
    settings = Settings.load()
    assert variables == {
        "CRON_FEATURES": settings.cron_features,
        "CRON_TRAINING": settings.cron_training,
        "CRON_DRIFT": settings.cron_drift,
        "CRON_HEALTH": settings.cron_health,
        "CRON_SKEW": settings.cron_skew,
        "CRON_LANDING": settings.cron_landing,
    }


def test_every_one_describes_itself_in_the_ui(repository: dg.RepositoryDefinition) -> None:
    bare = [f.name for f in (*repository.schedule_defs, *repository.sensor_defs) if not (f.description or "").strip()]
    assert bare == []
