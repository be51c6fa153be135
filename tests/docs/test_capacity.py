"""docs/capacity.md reckons with the code's own bounds, and with records as large as they are."""

import dataclasses
import re

import pytest

from serving_gateway.contracts.prediction import FeedbackRecord, PairedRecord, PairedScore, PredictionRecord, ViewAge
from serving_gateway.contracts.prediction_log import encode_frame, encode_record
from serving_gateway.identifiers import uuid7
from serving_gateway.settings import Settings
from serving_gateway.transport.server import FURTHER_DESCRIPTORS, MAX_BODIES
from tests.docs.markdown import table
from tests.servers import ROOT

PAGE = ROOT / "docs" / "capacity.md"
TEXT = PAGE.read_text()
SETTINGS = Settings.load({})
NOW_US = 1_767_225_600_000_000


def prediction(views: int, entities: dict[str, str]) -> PredictionRecord:
    """A row of the reference case: 26 features."""
    return PredictionRecord(
        prediction_id=uuid7(),
        request_id=uuid7(),
        event_time_us=NOW_US,
        served_at_us=NOW_US,
        arm="baseline",
        model="flight_delay",
        model_version="12",
        triton_model="flight_delay_v12",
        contract_digest="9412ee477082f8ce",
        epoch=1,
        generation=12,
        entities=entities,
        vector=[0.1234567 * n for n in range(26)],
        views=[ViewAge(view=f"carrier_origin_delays{n}", status="present", age_s=123.456) for n in range(views)],
        score=0.123456,
        decision=False,
        latency_us=3456,
    )


PAIRED = PairedScore(
    arm="shadow", model_version="13", triton_model="flight_delay_v13", outcome="ok", score=0.1234, latency_us=3456
)
RECORDS = {
    "prediction, features given": prediction(0, {}),
    "prediction by entities, with the age of every view": prediction(
        9, {"origin": "JFK", "carrier": "B6", "dest": "MCO", "tailnum": "N505JB"}
    ),
    "paired score of a shadow, or of the baseline behind a canary": PairedRecord(
        prediction_id=uuid7(), event_time_us=NOW_US, paired=PAIRED
    ),
    "ground truth": FeedbackRecord(prediction_id=uuid7(), outcome=True, observed_at_us=NOW_US, received_at_us=NOW_US),
}


@pytest.mark.parametrize("name", RECORDS)
def test_a_record_is_as_large_as_the_page_says(name: str) -> None:
    (stated,) = table(PAGE, "The log: disk, Redis, outages")[name]
    assert len(encode_frame(encode_record(RECORDS[name]))) == pytest.approx(int(stated), rel=0.03)


def test_the_example_of_an_outage_is_reckoned_right() -> None:
    sizes = {name: int(size) for name, (size,) in table(PAGE, "The log: disk, Redis, outages").items()}
    a_row = (
        sizes["prediction by entities, with the age of every view"]
        + sizes["paired score of a shadow, or of the baseline behind a canary"]
    )
    rows = SETTINGS.spool_max_bytes / a_row
    assert f"= {a_row} bytes" in TEXT
    assert f"after {round(rows, -3):,.0f} predictions, {rows / 100 / 60:.0f} minutes" in TEXT
    assert f"{100 * 300 * a_row / 1e6:.0f} MB" in TEXT
    assert f"{100 * (43_200 + 300) * a_row / 1e9:.1f} GB" in TEXT


def test_the_bounds_are_the_codes() -> None:
    assert f"`GATEWAY_MAX_BODY_BYTES` ({SETTINGS.max_body_bytes >> 20} MiB)" in TEXT
    assert f"{MAX_BODIES * SETTINGS.max_body_bytes >> 20} MiB; more get 503" in TEXT
    assert f"`GATEWAY_MAX_CONNECTIONS` ({SETTINGS.max_connections})" in TEXT
    assert f"`GATEWAY_MAX_CONNECTIONS` + {FURTHER_DESCRIPTORS}" in TEXT
    variables = {field.metadata["variable"] for field in dataclasses.fields(Settings)}
    named = set(re.findall(r"\b(GATEWAY_[A-Z_]+)", TEXT))
    assert named <= variables
