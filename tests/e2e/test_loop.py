"""The loop against the real processes: features, answers, log, drift report."""

import math
import re
from datetime import UTC, datetime

import httpx
import numpy as np
import polars as pl
import pytest

from orchestration.demo.dagster_runs import entries
from orchestration.features.training import FEATURES, read_training
from orchestration.ingestion.predictions import read_predictions
from orchestration.publishing.registered import registered
from orchestration.training.onnx_model import score
from tests.e2e.conftest import CALM_DAY, DAY, Platform

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]
FLIGHT = {
    "origin": "JFK", "carrier": "B6", "dest": "MCO", "tailnum": "N505JB",
    "dow": 2, "dep_min": 900, "distance": 944, "block": 180, "sched_load": 20,
}  # fmt: skip


def log_of(platform: Platform) -> pl.DataFrame:
    platform.succeed("report_drift")
    return read_predictions(platform.settings.lake, datetime(2013, 1, 1, tzinfo=UTC), datetime(2014, 1, 1, tzinfo=UTC))


def test_the_gateway_is_ready_and_serves_the_champion(platform: Platform) -> None:
    answer = httpx.get(f"{platform.settings.gateway_url}/ready", trust_env=False)
    assert answer.status_code == 200, answer.text
    answer = httpx.get(f"{platform.settings.gateway_url}/rollout", trust_env=False)
    assert answer.json()["state"]["arms"]["baseline"]["triton_model"].startswith("flight_delay_v")
    assert "serving_app_requests_total" in httpx.get(f"{platform.settings.gateway_url}/metrics", trust_env=False).text


def test_a_replayed_day_is_answered_logged_once_and_scored_as_onnx_runtime_scores_it(platform: Platform) -> None:
    platform.rewind(CALM_DAY)
    minutes = platform.minutes(CALM_DAY)[:900]
    tally = platform.replay().run(minutes)
    asked = [row["request_id"] for minute in minutes for row in minute.requests]
    assert tally.requests == len(asked) > 200
    assert not tally.errors

    log = log_of(platform).filter(pl.col("request_id").is_in(asked))
    assert sorted(log["request_id"]) == sorted(asked)
    vectors = np.array(log["vector"].to_list(), dtype=np.float32)
    expected = score(registered(platform.settings, "champion").onnx, vectors)
    np.testing.assert_allclose(log["score"].to_numpy(), expected, atol=1e-5)

    # training-serving skew: what was served is what training would have seen
    training = read_training(platform.settings.lake / "training", CALM_DAY, CALM_DAY + DAY)
    numeric = [name for name in FEATURES if name not in {"s_carrier", "s_origin"}]
    wanted = log.select("request_id").join(training, on="request_id", how="left", maintain_order="left")
    offline = wanted.select(pl.col(numeric).cast(pl.Float32).fill_null(math.nan)).to_numpy()
    np.testing.assert_allclose(vectors[:, 2:], offline, rtol=1e-5, atol=1e-5, equal_nan=True)


@pytest.mark.full
def test_the_same_minutes_give_the_same_predictions(platform: Platform) -> None:
    minutes = platform.minutes(CALM_DAY)[:840]
    scores = []
    for _ in range(2):
        platform.rewind(CALM_DAY)
        scores.append(platform.replay().run(minutes).scores)
    assert len(scores[0]) > 100
    assert scores[0] == scores[1]


@pytest.mark.full
def test_given_features_and_entities_agree(platform: Platform) -> None:
    """The vector logged for a request by entities, sent as given features, scores the same."""
    platform.rewind(CALM_DAY)
    minute = next(m for m in platform.minutes(CALM_DAY) if m.requests)
    platform.replay().run([minute])
    row = minute.requests[0]
    log = log_of(platform).filter(pl.col("request_id") == row["request_id"]).row(-1, named=True)
    inputs = registered(platform.settings, "champion").contract.inputs
    given = {
        i.name: (i.vocabulary[int(v)] if i.dtype == "category" else int(v) if i.dtype == "int32" else v)
        for i, v in zip(inputs, (None if math.isnan(v) else v for v in log["vector"]), strict=True)
        if v is not None
    }
    body = {"instances": [{"features": {i.name: given.get(i.name) for i in inputs}}]}
    answer = platform.predict(body)
    assert answer.status_code == 200, answer.text
    assert answer.json()["predictions"][0]["score"] == pytest.approx(log["score"], abs=1e-6)


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ({"instances": [FLIGHT, FLIGHT, FLIGHT, FLIGHT | {"origin": 7}]}, "$.instances[3].origin"),
        ({"instances": [{k: v for k, v in FLIGHT.items() if k != "dest"}]}, "$.instances[0].dest"),
        ({"instances": []}, "$.instances"),
        ({"instances": [{"features": {"s_carrier": "B6"}}]}, "$.instances[0].features"),
    ],
)
def test_bad_input_is_named_by_its_path(platform: Platform, body: dict[str, object], path: str) -> None:
    answer = platform.predict(body)
    assert answer.status_code == 400, answer.text
    assert answer.json()["error"]["path"].startswith(path)


def test_the_drift_report_is_judged_served_and_linked(platform: Platform) -> None:
    platform.rewind(CALM_DAY)
    minutes = platform.minutes(CALM_DAY)[:780]
    platform.replay().run(minutes)
    run = platform.succeed("report_drift")
    made = run.metadata("drift_report")
    page = httpx.get(made["report"], trust_env=False)
    assert page.status_code == 200
    assert "r_tail_last_arr_delay" in page.text
    assert httpx.get(made["figures"], trust_env=False).json()["metrics"]
    assert httpx.get(made["latest"], trust_env=False).text == page.text
    index = httpx.get(made["latest"].removesuffix("latest.html"), trust_env=False).text
    assert re.findall(r'href="([^"]+\.html)"', index)[:2] == ["latest.html", made["report"].rpartition("/")[2]]

    check = run.check("inputs_have_not_drifted")
    assert check is not None
    said = entries(check["metadataEntries"])
    assert check["success"], said
    assert datetime.fromisoformat(said["as_of"]) == minutes[-1].at
    assert (said["outcome"], 0 <= said["drifted share"] <= 1) == ("inconclusive", True)
    assert "are too few to tell" in said["reason"]  # the flights of a night
