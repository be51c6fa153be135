"""A canary that is as fast as the baseline is not convicted of the background's work, most of which its model has to do."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from orchestration.rollout.latency import latency_differences
from orchestration.rollout.pairing import Pair
from orchestration.rollout.policy import shipped_policy
from orchestration.rollout.verdict import fail_capital
from serving_gateway.contracts.prediction import PredictionRecord
from tests.serving_gateway.faults.conftest import Told
from tests.serving_gateway.faults.load import asked
from tests.serving_gateway.support import CONTRACT, TWO, gateway_process, predictions, publish_state, state_of, wait_for

pytestmark = pytest.mark.integration
PAIR = Pair("delay_v1", "delay_v2")
A_BATCH = "sleep 0.004"
CANARY_REQUESTS = 500


@pytest.fixture
def log(redis_url: str, triton: Told, tmp_path: Path) -> pl.DataFrame:
    """Of one client that asks again as soon as it is answered: the background works while the next request comes."""
    state = state_of(CONTRACT, TWO, shadow=TWO, weight_bp=2500, shadow_fraction=1.0)
    publish_state(redis_url, state, CONTRACT, TWO)
    for model in (PAIR.baseline, PAIR.canary):
        triton.tell(model, A_BATCH)
    with gateway_process(tmp_path, redis_url, triton.http) as gateway:
        wait_for(lambda: gateway.client.get("/ready").status_code == 200)
        count = 'serving_app_requests_total{model_variant="canary"'
        with asked(gateway.port, connections=1, pause_s=0):
            wait_for(lambda: gateway.metric(count) > CANARY_REQUESTS, timeout_s=90)
    return pl.DataFrame([_row(record) for record in predictions(redis_url)]).with_columns(
        served_at=pl.from_epoch("served_at_us", "us")
    )


def _row(record: PredictionRecord) -> dict[str, object]:
    names = (
        "prediction_id", "request_id", "served_at_us", "arm", "triton_model", "outcome", "charged", "queued", "latency_us",
    )  # fmt: skip
    return {name: getattr(record, name) for name in names}


def test_background_work_does_not_convict_a_canary(log: pl.DataFrame) -> None:
    found, evidence = latency_differences(log, PAIR), shipped_policy().evidence
    capital = float(np.max(fail_capital("latency", found[None], evidence)))
    print(f"{len(found)} blocks: the canary's request is the slower one in {(1 + found.mean()) / 2:.1%}")
    assert len(found) > 20
    assert capital < -np.log(evidence.alpha_of("latency"))


def test_who_met_the_background_waited_and_is_left_out(log: pl.DataFrame) -> None:
    """So often that those requests alone would convict it: the model has to do it three times as often as the baseline's."""
    canary = log.filter(arm="canary")
    waited, alone = (canary.filter(queued=queued)["latency_us"].median() for queued in (True, False))
    assert canary["queued"].mean() > 0.1  # type: ignore[operator]
    assert waited > alone  # type: ignore[operator]
    assert waited > 5000  # type: ignore[operator]
