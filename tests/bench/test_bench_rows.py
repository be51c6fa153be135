import dataclasses
import json
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from tests.bench.rows import Row, merged, write

ROW = Row("gateway", 8, 1000.0, 500.0, 900.0, 30.0, 0, 0.1, 1.0)
KEYS = [
    "target", "concurrency", "requests_per_second", "p50_us", "p99_us", "cpu_us_per_request", "errors", "canary_share",
    "shadow_share",
]  # fmt: skip


def test_repetitions_become_medians_and_no_error_or_lost_shadow_row_is_hidden() -> None:
    repetitions = [
        dataclasses.replace(ROW, requests_per_second=900.0, errors=3, shadow_share=1.0, canary_share=0.09),
        dataclasses.replace(ROW, requests_per_second=5000.0, errors=0, shadow_share=0.5, canary_share=0.12),
        dataclasses.replace(ROW, requests_per_second=1000.0, errors=0, shadow_share=1.0, canary_share=0.12),
    ]
    (row,) = merged(repetitions)
    assert row == dataclasses.replace(ROW, errors=3, shadow_share=0.5, canary_share=row.canary_share)
    assert abs(row.canary_share - 0.11) < 1e-12


def test_each_target_and_concurrency_is_a_row_of_its_own() -> None:
    others = [dataclasses.replace(ROW, concurrency=32), dataclasses.replace(ROW, target="direct"), ROW]
    assert merged(others) == others


@given(st.permutations(range(5)))
def test_the_order_of_repetitions_does_not_matter(order: list[int]) -> None:
    rows = [dataclasses.replace(ROW, p50_us=100.0 * n, p99_us=1000.0 - n) for n in order]
    assert merged(rows)[0].p50_us == 200.0
    assert merged(rows)[0].p99_us == 998.0


def test_the_file_is_a_list_of_objects_with_these_keys(tmp_path: Path) -> None:
    write(tmp_path / "new" / "gateway.json", [ROW, ROW])
    found = json.loads((tmp_path / "new" / "gateway.json").read_text())
    assert [list(row) for row in found] == [KEYS, KEYS]
    assert found[0] == dataclasses.asdict(ROW)
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["gateway.json"]
