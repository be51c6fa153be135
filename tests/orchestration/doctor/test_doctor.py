"""python -m orchestration.doctor where little or nothing of the platform is up."""

import json
import shutil
from pathlib import Path

import pytest
import redis

from orchestration.doctor.__main__ import CHECKS, main
from orchestration.doctor.features import check_features, newest
from orchestration.embedded.health import probes
from orchestration.features.layout import write_layouts
from orchestration.settings import Settings
from tests.orchestration.foreign_server import foreign_server
from tests.servers import RedisServer, free_port
from tests.serving_gateway.support import (
    BOARD,
    EVENT_TIME_US,
    INSTANCE,
    TAIL,
    WEATHER,
    gateway_process,
    put_all_views,
    put_view,
)

LAYOUTS = (WEATHER, TAIL, BOARD)


@pytest.fixture
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home with nothing in it, and ports that nobody listens on."""
    monkeypatch.setenv("PLATFORM_HOME", str(tmp_path))
    for name in Settings.port_defaults():
        monkeypatch.setenv(name.upper(), str(free_port()))
    return tmp_path


def test_a_platform_that_is_not_there_is_down(nowhere: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 1
    shown = capsys.readouterr().out
    assert f"none of {len(probes(Settings.load()))} answers" in shown
    assert "1 down" in shown
    assert main(["--json"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert {f["check"] for f in found} == set(CHECKS)
    assert {f["state"] for f in found} == {"down", "attention"}


def test_a_bad_setting_is_one_clear_line(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("GATEWAY_PORT", "eighty")
    assert main([]) == 2
    assert capsys.readouterr().err.startswith("doctor: GATEWAY_PORT must be a port number")


def test_a_machine_without_alertmanager_says_that_nobody_is_told(
    nowhere: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(shutil, "which", lambda _name: None)
    main(["--json"])
    found = {f["check"]: f for f in json.loads(capsys.readouterr().out)}
    assert found["alerts"]["state"] == "attention"
    assert found["alerts"]["says"].startswith("nobody is told of anything: as root, apt-get install prometheus")


@pytest.mark.parametrize(
    ("status", "document"),
    [
        (404, {"detail": "Not Found"}),
        (200, {"status": "ok"}),
        (200, {"data": {"failed": {"results": [{}]}, "active": {"results": []}, "instance": None}}),
        (200, ["a", "b"]),
        (200, "a"),
        (200, None),
    ],
    ids=str,
)
def test_somebody_else_on_our_ports_is_a_finding(
    nowhere: Path,
    status: int,
    document: object,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    with foreign_server(status, document) as port:
        for name in ("GATEWAY_PORT", "TRITON_HTTP_PORT", "DAGSTER_PORT"):
            monkeypatch.setenv(name, str(port))
        assert main(["--json"]) == 1
    listed = json.loads(capsys.readouterr().out)
    found = {f["check"]: f for f in listed}
    assert found["gateway"]["state"] == "attention"
    assert set(CHECKS) - {"services"} <= set(found)
    if status == 404:
        assert f"none of {len(probes(Settings.load()))} answers" in found["services"]["says"]
        assert "answers, but not as ours (KeyError: 'error')" in found["gateway"]["says"]
    else:
        assert found["dagster definitions"]["state"] == found["dagster daemon"]["state"] == "down"


@pytest.mark.integration
def test_redis_is_asked_where_its_url_says(
    nowhere: Path, redis_process: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = Settings.load()
    assert not probes(settings)["redis"]()
    monkeypatch.setenv("REDIS_URL", f"redis://localhost:{redis_process.port}/0")
    assert probes(settings)["redis"]()
    monkeypatch.setenv("REDIS_PORT", str(redis_process.port))
    for url in (f"redis://127.0.0.1:{free_port()}/0", "no address"):
        monkeypatch.setenv("REDIS_URL", url)
        assert not probes(Settings.load())["redis"]()


@pytest.mark.integration
def test_a_damaged_value_of_the_store_is_a_finding(
    nowhere: Path, redis_url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("REDIS_URL", redis_url)
    write_layouts(Settings.load().feature_layout, LAYOUTS)
    with redis.Redis.from_url(redis_url) as client:
        put_all_views(client)
        (key, *_) = client.scan_iter(match=b"?\x00\x00\x00*")
        client.hset(key, mapping={layout.timestamp_field: b"\x08" for layout in LAYOUTS})
    main(["--json"])
    found = {f["check"]: f for f in json.loads(capsys.readouterr().out)}
    assert found["online store"]["state"] == "attention"
    assert "IndexError" in found["online store"]["says"]


@pytest.mark.integration
def test_a_gateway_without_a_model_is_down_and_says_why(
    nowhere: Path, redis_url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("REDIS_URL", redis_url)
    with gateway_process(nowhere, redis_url) as gateway:
        monkeypatch.setenv("GATEWAY_URL", gateway.url)
        (nowhere / "log").mkdir()
        (nowhere / "log" / "triton.log").touch()
        gateway.client.post("/predict", json=INSTANCE)
        assert main(["--json"]) == 1
    listed = json.loads(capsys.readouterr().out)
    found = {f["check"]: f for f in listed}
    assert found["gateway"]["state"] == "down"
    assert "publish a model first" in found["gateway"]["says"]
    assert found["prediction log"]["state"] == "ok"
    assert f"does not answer; its log is {nowhere / 'log' / 'triton.log'}" in [f["says"] for f in listed]


@pytest.mark.integration
def test_the_newest_value_of_each_view_is_found(nowhere: Path, redis_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDIS_URL", redis_url)
    monkeypatch.setenv("EVENT_CLOCK", "replay")
    settings = Settings.load()
    assert "nothing is registered" in check_features(settings)[0].says
    write_layouts(settings.feature_layout, LAYOUTS)
    assert "is empty" in check_features(settings)[0].says
    with redis.Redis.from_url(redis_url) as client:
        put_all_views(client)
        put_view(client, WEATHER, ("EWR",), EVENT_TIME_US - 7_200_000_000, {"visib": 1.0})
        at = EVENT_TIME_US / 1e6
        assert newest(client, LAYOUTS) == {"weather": at - 60, "tail": at - 60, "board": at}
    assert check_features(settings)[0].state == "ok"
