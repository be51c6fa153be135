"""The disk of the spool is full: answers go on, the loss is counted and said once, and the log goes on when there is room."""

import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from serving_gateway.contracts.prediction_log import decode_record, read_frames
from tests.servers import RedisServer, redis_server
from tests.serving_gateway.faults.conftest import Told
from tests.serving_gateway.faults.load import asked
from tests.serving_gateway.support import CONTRACT, GatewayProcess, gateway_process, publish_state, state_of, wait_for

pytestmark = pytest.mark.integration
DROPPED = "serving_app_spool_dropped_records_total"


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A real file system of 1 MiB."""
    folder = tmp_path / "small"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", folder], capture_output=True, check=False)  # fmt: skip
    if mounted.returncode:
        pytest.skip(f"a small file system cannot be mounted: {mounted.stderr.decode().strip()}")
    yield folder
    subprocess.run(["umount", "--lazy", folder], check=True)


@pytest.fixture
def own_redis(tmp_path: Path) -> Iterator[RedisServer]:
    with redis_server(tmp_path / "redis") as server:
        yield server


def test_answers_go_on_and_the_loss_is_told(
    small_disk: Path, own_redis: RedisServer, triton: Told, tmp_path: Path
) -> None:
    publish_state(own_redis.url, state_of(CONTRACT), CONTRACT)
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "gateway").symlink_to(small_disk)
    ballast = small_disk / "ballast"
    with gateway_process(tmp_path / "home", own_redis.url, triton.http, GATEWAY_ID="g") as gateway:
        wait_for(lambda: gateway.client.get("/ready").status_code == 200)
        ballast.write_bytes(bytes(900_000))
        with asked(gateway.port, connections=8, pause_s=0.002) as load:
            wait_for(lambda: gateway.metric(DROPPED) > 100, timeout_s=30)
            told = gateway.health()["log_loss"]
            full = time.monotonic()
            ballast.unlink()
            wait_for(lambda: gateway.health()["log_loss"] == "")
            room = time.monotonic()
            wait_for(lambda: time.monotonic() > room + 0.5)
        written, dropped = _written(small_disk), gateway.metric(DROPPED)
        log = _log(gateway)
    answered = set(load.ids)
    print(
        f"disk full: {len(answered)} answered, {dropped:.0f} records lost and counted, {len(answered & written)} kept; "
        f"worst {load.worst_ms:.0f} ms; written again {room - full:.2f} s after there was room"
    )
    assert set(load.statuses) == {200}
    assert len(answered - written) == dropped  # what is lost is counted to the record
    assert set(load.between(room + 0.1).ids) <= written
    assert "spool" in str(told)
    said = [line for line in log.splitlines() if '"level": "ERROR"' in line]
    assert len([line for line in said if "records are being lost" in line]) == len(
        [line for line in said if "records are written again" in line]
    )
    assert len(said) < 20  # told, not told at each of them
    assert f"{dropped:.0f} were lost" in log or log.count("were lost") > 1


def _log(gateway: GatewayProcess) -> str:
    return (gateway.home / f"gateway-{gateway.port}.log").read_text()


def _written(disk: Path) -> set[str]:
    """Ids of the predictions in the spool; nothing has landed, so all segments are there."""
    frames = [frame for path in (disk / "spool" / "g").glob("*.seg") for frame in read_frames(path.read_bytes())[0]]
    return {decode_record(frame).prediction_id for frame in frames}
