import dataclasses

import pytest

from tests.bench.marks import MARKS, Judged, judged
from tests.bench.rows import Row, Rows

DIRECT, MIRROR = 1000.0, 500.0  # requests per second
# Every mark is just met: what each target answers in a second, by concurrency, and its CPU.
RATES = {
    "direct": dict.fromkeys((1, 8, 32), DIRECT),
    "nginx_mirror": dict.fromkeys((1, 8, 32), MIRROR),
    "fastapi": dict.fromkeys((1, 8, 32), 1800 / 12),
    "gateway": {1: 900.0, 8: 700.0, 32: 1800.0},
    "gateway_single": {1: 900.0, 8: 700.0, 32: 1800.0},
    "gateway_entities": {1: 900.0, 8: 700.0, 32: 1080.0},
}
CPU = {"direct": 0.0, "nginx_mirror": 100.0, "fastapi": 1000.0, "gateway": 30.0, "gateway_single": 100.0}
P50 = {"direct": 400.0, "nginx_mirror": 800.0}


def rows() -> dict[tuple[str, int], Row]:
    return {
        (name, c): Row(name, c, rate, P50.get(name, 800.0), 2000.0, CPU.get(name, 30.0), 0, 0.105, 0.9995)
        for name, rates in RATES.items()
        for c, rate in rates.items()
    }


def changed(name: str, concurrency: int, **fields: float) -> Rows:
    found = rows()
    found[name, concurrency] = dataclasses.replace(found[name, concurrency], **fields)  # type: ignore[arg-type]
    return found


def verdicts(found: Rows) -> dict[str, bool | None]:
    return {mark.what: mark.met for mark in judged(found)}


def test_all_marks_can_be_met() -> None:
    assert set(verdicts(rows()).values()) == {True}
    assert len(MARKS) == 11


@pytest.mark.parametrize(
    ("row", "fields", "missed"),
    [
        (("gateway", 32), {"requests_per_second": 1799.0}, {"req/s over direct Triton, c = 32", "req/s over FastAPI, c = 32"}),
        (("gateway", 32), {"cpu_us_per_request": 30.1}, {"CPU per request over nginx with mirror, c = 32"}),
        (("gateway", 8), {"requests_per_second": 699.0}, {"req/s over direct Triton, c = 8", "req/s over nginx with mirror, c = 8"}),
        (("gateway", 1), {"p50_us": 801.0}, {"p50 added to direct, less what nginx with mirror adds, c = 1"}),
        (("gateway_single", 8), {"cpu_us_per_request": 101.0}, {"group commit off: CPU per request over nginx with mirror, worst c"}),
        (("gateway_entities", 32), {"requests_per_second": 1079.0}, {"by entities: req/s over given features, c = 32"}),
        (("gateway_single", 1), {"canary_share": 0.089}, {"canary's share: farthest from 10 %, any gateway row"}),
        (("gateway_entities", 8), {"shadow_share": 0.998}, {"share of shadow rows scored, least of any gateway row"}),
        (("gateway", 1), {"errors": 1}, {"failed or unlogged requests of the gateway"}),
    ],
)  # fmt: skip
def test_a_mark_is_missed_by_a_hair(row: tuple[str, int], fields: dict[str, float], missed: set[str]) -> None:
    found = verdicts(changed(*row, **fields))
    assert {what for what, met in found.items() if not met} == missed


def test_what_was_not_measured_is_neither_met_nor_missed() -> None:
    assert {mark.verdict for mark in judged({})} == {"not measured"}
    without = {key: row for key, row in rows().items() if key[0] != "fastapi"}
    assert {what for what, met in verdicts(without).items() if met is None} == {"req/s over FastAPI, c = 32"}


def test_a_mark_reads_in_plain_words() -> None:
    assert judged(rows())[0] == Judged("req/s over direct Triton, c = 32", "1.80", "≥ 1.80 (aim 2.50)", met=True)
    assert judged(rows())[0].verdict == "met"
