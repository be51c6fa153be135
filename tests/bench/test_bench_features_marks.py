"""What counts as met on the feature path, and what the JSON holds."""

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from tests.bench.features import joins, measuring
from tests.bench.features.__main__ import TARGETS, main, write
from tests.bench.features.marks import JOINERS, MARKS, READERS, READS, WRITERS, WRITES, judged
from tests.bench.marks import Judged

CPU = {1: 6.0, 32: 12.0}


def found() -> dict[str, list[dict[str, Any]]]:
    """Every mark is just met."""
    return {
        "reads": [
            {
                "target": target,
                "rows": rows,
                "concurrency": concurrency,
                "cpu_us_per_call": 100.0 if target == "ours" else 100.0 * CPU[rows],
                "calls_per_second": 20_000.0 if target == "ours" else 1000.0,
            }
            for rows, concurrency in READS
            for target in READERS
        ],
        "writes": [
            {
                "target": target,
                "rows": rows,
                "rows_per_second": 70_000.0 if target == "ours" else 10_000.0,
                "peak_mb": 100.0 if target == "ours" else 400.0,
            }
            for rows in WRITES
            for target in WRITERS
        ],
        "joins": [
            {"target": target, "rows": 300, "seconds": 1.0 if target == "ours" else 3.0, "rows_out": 300}
            for target in JOINERS
        ],
    }


def verdicts(rows: dict[str, list[dict[str, Any]]]) -> dict[str, bool | None]:
    return {mark.what: mark.met for mark in judged(rows)}


def test_all_marks_can_be_met() -> None:
    assert set(verdicts(found()).values()) == {True}
    assert len(MARKS) == 6 + 1 + 4 + 2


@pytest.mark.parametrize(
    ("part", "row", "fields", "missed"),
    [
        ("reads", ("feast_sync", 1, 1), {"cpu_us_per_call": 599.0}, {"read of 1 row: CPU of feast_sync over ours"}),
        ("reads", ("feast_async", 32, 1), {"cpu_us_per_call": 1199.0}, {"read of 32 rows: CPU of feast_async over ours"}),
        ("reads", ("feast_serve", 1, 1), {"cpu_us_per_call": 599.0}, {"read of 1 row: CPU of feast_serve over ours"}),
        ("reads", ("feast_sync", 1, 64), {"calls_per_second": 1001.0}, {"reads of 1 row, 64 at a time: ours over the SDK's faster way"}),
        ("reads", ("feast_async", 1, 64), {"calls_per_second": 1001.0}, {"reads of 1 row, 64 at a time: ours over the SDK's faster way"}),
        ("reads", ("feast_serve", 1, 64), {"calls_per_second": 1001.0}, set()),  # no SDK
        ("writes", ("ours", 500_000), {"rows_per_second": 69_000.0}, {"write of 500,000 rows: ours over Feast's materialize, rows/s"}),
        ("writes", ("ours", 100_000), {"peak_mb": 101.0}, {"write of 100,000 rows: memory of ours over that of Feast's materialize"}),
        ("joins", ("feast_duckdb",), {"seconds": 2.9}, {"join: seconds of Feast's duckdb store over ours"}),
        ("joins", ("ours",), {"rows_out": 299}, {"join: rows that ours lost"}),
        ("joins", ("feast_dask",), {"rows_out": 280, "seconds": 0.1}, set()),  # it loses rows: its time is no mark
    ],
)  # fmt: skip
def test_a_mark_is_missed_by_a_hair(
    part: str, row: tuple[str | int, ...], fields: dict[str, float], missed: set[str]
) -> None:
    rows = copy.deepcopy(found())
    names = {"reads": ("target", "rows", "concurrency"), "writes": ("target", "rows"), "joins": ("target",)}[part]
    (one,) = (r for r in rows[part] if tuple(r[name] for name in names) == row)
    one.update(fields)
    assert {what for what, met in verdicts(rows).items() if not met} == missed


def test_what_was_not_measured_is_neither_met_nor_missed() -> None:
    assert set(verdicts({"reads": [], "writes": [], "joins": []}).values()) == {None}
    rows = found() | {"writes": []}
    assert {what for what, met in verdicts(rows).items() if met is None} == {m.what for m in MARKS if "write" in m.what}


def test_a_mark_reads_in_plain_words() -> None:
    assert judged(found())[0] == Judged("read of 1 row: CPU of feast_sync over ours", "6.0", "≥ 6.0", met=True)


def test_the_file_holds_the_rows_and_nothing_else(tmp_path: Path) -> None:
    write(tmp_path / "features.json", found())
    assert json.loads((tmp_path / "features.json").read_text()) == found()
    assert [path.name for path in tmp_path.iterdir()] == ["features.json"]
    assert set(TARGETS) == {r["target"] for rows in found().values() for r in rows}
    assert joins.ROWS == 300_000
    assert measuring.Sizes() == measuring.Sizes(READS, (100_000, 500_000), 300_000, joins.MONTH, year=True)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--targets", "ours,redis"], "redis: choose from ours, feast_sync"),
        (["--parts", "reads,scans"], "scans: choose from reads, writes, joins"),
        (["--seconds", "0"], "a whole number above 0, got '0'"),
        (["--write-docs", "--parts", "reads"], "--write-docs takes all targets and parts"),
    ],
)
def test_a_wrong_option_is_named(arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(arguments)
    assert said in capsys.readouterr().err
