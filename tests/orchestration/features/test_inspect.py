"""python -m orchestration.features.inspect on a real Redis."""

import json
from datetime import timedelta
from pathlib import Path

import pytest
import redis

from orchestration.features.inspect import inspect, main
from orchestration.features.layout import write_layouts
from serving_gateway.contracts.online_layout import entity_key
from tests.servers import free_port
from tests.serving_gateway.support import BOARD, EVENT_TIME, EVENT_TIME_US, TAIL, WEATHER, put_all_views, put_view

LAYOUTS = (WEATHER, TAIL, BOARD)
MINUTE = timedelta(minutes=1)
JFK = ["--origin", "JFK", "--tailnum", "N1"]


@pytest.fixture
def client(redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> "redis.Redis":
    """A store with fresh rows of JFK and N1, and its layout where the platform keeps it."""
    monkeypatch.setenv("REDIS_URL", redis_url)
    monkeypatch.setenv("EVENT_CLOCK", "replay")
    monkeypatch.setenv("PLATFORM_HOME", str(tmp_path))
    write_layouts(tmp_path / "feast" / "layout.json", LAYOUTS)
    client = redis.Redis.from_url(redis_url)
    put_all_views(client)
    return client


def states(client: "redis.Redis", after: timedelta = timedelta(), **entities: str) -> dict[str, str]:
    found = inspect(client, LAYOUTS, entities, EVENT_TIME + after)
    return {f"{f.view}:{f.feature}": f.state for f in found}


@pytest.mark.integration
def test_every_view_with_its_values_time_and_age(client: "redis.Redis") -> None:
    found = {f.feature: f for f in inspect(client, LAYOUTS, {"origin": "JFK", "tailnum": "N1"}, EVENT_TIME)}
    visib = found["visib"]
    assert (visib.value, visib.age_s, visib.ttl_s, visib.state) == (9.5, 60, 3600, "fresh")
    assert visib.event_time == (EVENT_TIME - MINUTE).isoformat()
    assert (found["kind"].value, found["late_share"].value) == ("prop", 0.25)


@pytest.mark.integration
def test_an_age_beyond_the_ttl_is_expired_and_none_is_no_limit(client: "redis.Redis") -> None:
    found = states(client, 60 * MINUTE, origin="JFK")
    assert found == {"weather:visib": "expired", "board:late_share": "fresh"}
    assert states(client, 59 * MINUTE, origin="JFK")["weather:visib"] == "fresh"


@pytest.mark.integration
def test_an_entity_that_nobody_has_seen_is_missing(client: "redis.Redis") -> None:
    assert states(client, origin="XXX")["weather:visib"] == "missing"


@pytest.mark.integration
def test_a_row_without_a_value_is_null_and_an_expired_one_stays_expired(client: "redis.Redis") -> None:
    put_view(client, TAIL, ("N2",), EVENT_TIME_US, {"last_at": None, "kind": "jet"})
    assert states(client, tailnum="N2") == {"tail:last_at": "null", "tail:kind": "fresh", "board:late_share": "fresh"}
    assert states(client, timedelta(days=2), tailnum="N2")["tail:last_at"] == "expired"


@pytest.mark.integration
def test_the_command_shows_a_table_by_the_event_clock(
    client: "redis.Redis", capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(JFK) == 0
    shown = capsys.readouterr().out
    for part in ("Event clock 2013-05-01T12:00:00+00:00", "visib", "9.5", "1.0 min", "fresh", "60 min"):
        assert part in shown
    assert "Not shown" not in shown
    assert main(["--origin", "XXX"]) == 0
    shown = capsys.readouterr().out
    assert "missing" in shown
    assert "Not shown, for their keys were not all given: tail" in shown


@pytest.mark.integration
def test_the_command_gives_one_json_document(client: "redis.Redis", capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*JFK, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["event_clock"] == EVENT_TIME.isoformat()
    assert found["not_asked"] == []
    assert {f["state"] for f in found["features"]} == {"fresh"}


@pytest.mark.integration
def test_bytes_that_are_no_values_are_named(client: "redis.Redis", capsys: pytest.CaptureFixture[str]) -> None:
    field = bytes.fromhex(WEATHER.features[0].field)
    client.hset(entity_key("drift", ("origin",), ("JFK",)), mapping={field: b"\x29\x01"})
    assert main(JFK) == 2
    told = capsys.readouterr().err
    assert told.startswith("inspect: view weather holds unreadable values for ('JFK',)")
    assert told.count("\n") == 1


def test_no_layout_redis_away_and_a_broken_layout_are_one_clear_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PLATFORM_HOME", str(tmp_path))
    monkeypatch.setenv("REDIS_URL", f"redis://127.0.0.1:{free_port()}/0")
    layout = tmp_path / "feast" / "layout.json"
    assert main(JFK) == 2
    assert f"{layout} is not there: materialize feature_registry" in capsys.readouterr().err
    write_layouts(layout, LAYOUTS)
    assert main(JFK) == 2
    assert capsys.readouterr().err.startswith(
        "inspect: Redis cannot be read (FEATURES_REDIS_URL, REDIS_URL, REDIS_PORT)"
    )
    layout.write_text('[{"name": 7}]')
    assert main(JFK) == 2
    assert "$[0].name" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [["--gate", "7"], ["--origin"], ["--origin", ""], ["JFK"]])
def test_bad_arguments_are_refused(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    assert "usage:" in capsys.readouterr().err
