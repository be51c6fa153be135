"""Three times what the model can carry is asked: what can be answered is, and the rest is told at once to come back."""

import time
from pathlib import Path

import pytest

from tests.serving_gateway.faults.conftest import Told
from tests.serving_gateway.faults.load import Load, asked
from tests.serving_gateway.support import CONTRACT, gateway_process, publish_state, state_of, wait_for

pytestmark = pytest.mark.integration
ROW_S = 0.003  # what the model takes for a row: it, not this machine, is what limits


@pytest.mark.parametrize("seconds", [3.0, pytest.param(20.0, marks=pytest.mark.full)])
def test_three_times_the_capacity_costs_no_goodput(
    seconds: float, redis_url: str, triton: Told, tmp_path: Path
) -> None:
    publish_state(redis_url, state_of(CONTRACT), CONTRACT)
    triton.tell("delay_v1", f"each {ROW_S}")
    with gateway_process(tmp_path, redis_url, triton.http) as gateway:
        wait_for(lambda: gateway.client.get("/ready").status_code == 200)
        peak, _ = _for(seconds, gateway.port, connections=32)
        capacity = peak.statuses[200] / seconds
        over, began = _for(seconds, gateway.port, rate=3 * capacity)
    settled = over.between(began + 1.0, began + seconds)  # the first second shows it what a batch takes
    goodput = settled.statuses[200] / (seconds - 1.0)
    print(
        f"capacity {capacity:.0f}/s; at three times that {goodput:.0f}/s answered ({goodput / capacity:.0%}), "
        f"{dict(settled.statuses)}; answers p50 {settled.ms(50):.0f} ms, p99 {settled.ms(99):.0f} ms; "
        f"refusals p50 {settled.ms(50, 503):.1f} ms, p99 {settled.ms(99, 503):.0f} ms"
    )
    assert goodput >= 0.8 * capacity
    assert over.refused_without_retry_after() == []
    assert settled.statuses[503] > capacity
    assert settled.statuses[504] < 0.05 * len(settled.answers)
    assert settled.ms(50, 503) < 100


def _for(seconds: float, port: int, **how: float) -> tuple[Load, float]:
    """What was asked for so long, and when that began."""
    with asked(port, pause_s=0.0, **how) as load:  # type: ignore[arg-type]
        began = time.monotonic()
        wait_for(lambda: time.monotonic() > began + seconds, timeout_s=seconds + 5)
    return load, began
