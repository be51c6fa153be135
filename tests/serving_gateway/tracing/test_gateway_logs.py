import json
import logging
import os
import pty
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from serving_gateway.tracing import logs
from serving_gateway.tracing.logs import LINES_A_SECOND, Failures, JsonLines, Readable
from tests.servers import ROOT
from tests.serving_gateway.faulty_triton import FaultyTriton
from tests.serving_gateway.support import CANARY, GIVEN, INSTANCE, GatewayProcess, many, serve
from tests.serving_gateway.tracing.conftest import Start

TRACEPARENT = f"00-{'a' * 32}-{'b' * 16}-00"


def record(message: str = "%s!", *values: object, level: int = logging.WARNING, **further: object) -> logging.LogRecord:
    made = logging.LogRecord("a.b", level, "file", 1, message, values or ("well",), None)
    made.created = 1_700_000_000.1234
    vars(made).update(further)
    return made


def test_a_line_of_json_has_the_ids_that_there_are() -> None:
    line = json.loads(JsonLines("g-0").format(record(request_id="mine", trace_id="t", prediction_ids=["p", "q"])))
    assert line == {
        "time": "2023-11-14T22:13:20.123Z",
        "level": "WARNING",
        "logger": "a.b",
        "gateway": "g-0",
        "message": "well!",
        "request_id": "mine",
        "trace_id": "t",
        "prediction_ids": ["p", "q"],
    }
    assert set(json.loads(JsonLines("g").format(record(request_id="", trace_id="t")))) == {
        "time", "level", "logger", "gateway", "message", "trace_id"
    }  # fmt: skip


@pytest.mark.parametrize("message", ['a "quoted"\nline', "\x00\x1b", "ü \ud800 €"])
def test_whatever_is_said_it_is_one_line(message: str) -> None:
    line = JsonLines("g").format(record("%s", message, request_id=message))
    assert "\n" not in line
    assert line.isascii()
    told = json.loads(line)
    assert told["message"] == told["request_id"] == message


def test_an_exception_is_told_whole() -> None:
    planted = ValueError("planted")
    failed = record(exc_info=(ValueError, planted, None))
    line = JsonLines("g").format(failed)
    assert "\n" not in line
    assert json.loads(line)["exception"].endswith("ValueError: planted")
    assert "ValueError: planted" in Readable("%(message)s").format(failed)


def test_for_the_eye_the_ids_come_last() -> None:
    assert (
        Readable("%(message)s%(ids)s").format(record(request_id="mine", trace_id="t"))
        == "well! request_id=mine trace_id=t"
    )
    assert Readable("%(message)s%(ids)s").format(record()) == "well!"


def test_a_flood_is_cut_and_counted(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    now = 100.0
    monkeypatch.setattr(logs.time, "monotonic", lambda: now)
    failures = Failures(logging.getLogger("flood"))
    for number in range(LINES_A_SECOND + 7):
        failures.warn("%d", number, request_id=f"r{number}")
    assert [r.message for r in caplog.records] == [str(n) for n in range(LINES_A_SECOND)]
    assert caplog.records[-1].request_id == f"r{LINES_A_SECOND - 1}"  # type: ignore[attr-defined]
    now = 101.0
    caplog.clear()
    failures.warn("next")
    assert [r.message for r in caplog.records] == ["7 failed requests more were not logged one by one", "next"]


def test_on_a_terminal_lines_are_for_the_eye_else_json(tmp_path: Path) -> None:
    """As the program itself says it: a pseudo-terminal in the place of its stderr, then a file."""
    code = "import logging; from serving_gateway.tracing.logs import configure; configure('INFO', 'g'); "
    code += "logging.getLogger('a').warning('said', extra={'request_id': 'mine'}); logging.getLogger('a').debug('not')"
    outside, inside = pty.openpty()
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, stderr=inside)
    os.close(inside)
    shown = os.read(outside, 4096).decode()
    os.close(outside)
    assert re.fullmatch(r"[\d-]+ [\d:,]+ WARNING g a said request_id=mine\r\n", shown)
    plain = subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, capture_output=True, text=True).stderr
    assert json.loads(plain)["request_id"] == "mine"


def lines(gateway: GatewayProcess) -> Iterator[dict[str, object]]:
    for line in (gateway.home / f"gateway-{gateway.port}.log").read_text().splitlines():
        yield json.loads(line)


@pytest.mark.integration
def test_a_failure_is_found_by_its_request_id(start: Start, stand_in: FaultyTriton) -> None:
    with start() as gateway:
        stand_in.faults["delay_v1"] = "error"
        answer = gateway.predict({"features": GIVEN, "request_id": "mine"}, traceparent=TRACEPARENT)
        assert answer.status_code == 503
        assert gateway.client.get("/v2/models/nowhere").status_code >= 400  # which no line tells of
        stand_in.faults.clear()
        assert gateway.predict({"features": GIVEN, "request_id": "well"}).status_code == 200
        told = [line for line in lines(gateway) if line.get("request_id")]
    (line,) = told
    assert (line["request_id"], line["trace_id"], line["level"]) == ("mine", "a" * 32, "WARNING")
    assert str(line["message"]).startswith("POST /predict answered 503: ")
    assert "planted" in str(line["message"])


@pytest.mark.integration
def test_rows_that_fell_back_are_found_by_theirs(start: Start, stand_in: FaultyTriton, redis_url: str) -> None:
    with start() as gateway:
        serve(redis_url, gateway, CANARY)
        stand_in.faults["delay_v2"] = "nan"
        document = many(20) | {"request_id": "mine"}
        rows = gateway.predict(document, traceparent=TRACEPARENT).json()["predictions"]
        fallen = [row["prediction_id"] for row in rows if row.get("fallback_from")]
        assert fallen
        (line,) = [line for line in lines(gateway) if line.get("request_id") == "mine"]
    assert line["prediction_ids"] == fallen
    assert line["trace_id"] == "a" * 32
    assert line["message"] == f"{len(fallen)} rows fell back from delay_v2: invalid"


@pytest.mark.integration
def test_what_is_answered_well_is_not_logged_and_the_level_holds(start: Start) -> None:
    with start(LOG_LEVEL="WARNING") as gateway:
        assert gateway.predict(INSTANCE).status_code == 200
        assert list(lines(gateway)) == []
