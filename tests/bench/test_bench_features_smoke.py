"""The benchmark of the feature path itself, as short as it can be, over real servers; what is wrong is refused."""

import json
import os
import signal
import subprocess
import sys
from datetime import date
from pathlib import Path

import polars as pl
import pytest

from tests.bench.features import joins, readers, writes
from tests.bench.features.__main__ import main
from tests.bench.features.alone import alone
from tests.bench.features.measuring import Sizes
from tests.bench.features.stand import Answer, Stand, rows_of
from tests.bench.measure import NotComparableError
from tests.bench.test_bench_smoke import left_over
from tests.servers import ROOT, wait_until

TINY = Sizes(reads=((32, 1),), writes=(), join_rows=2000, join_days=(date(2013, 2, 4), date(2013, 2, 6)), year=False)


@pytest.mark.full
def test_reads_and_joins_are_measured_and_what_was_started_is_stopped(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--targets", "ours", "--parts", "reads,joins", "--seconds", "1", "--folder", str(tmp_path)]
    assert main(options, TINY) == 0
    found = json.loads((tmp_path / "features.json").read_text())
    assert set(found) == {"reads", "writes", "joins"}
    (read,) = found["reads"]
    assert set(read) == {"target", "rows", "concurrency", "cpu_us_per_call", "calls_per_second"}
    assert (read["target"], read["rows"], read["concurrency"]) == ("ours", 32, 1)
    assert read["cpu_us_per_call"] > 1
    assert read["calls_per_second"] > 1
    assert found["writes"] == []
    duckdb, ours = found["joins"]  # what ours is compared with is measured too
    assert (duckdb["target"], ours["target"]) == ("feast_duckdb", "ours")
    for row in (duckdb, ours):
        assert set(row) == {"target", "rows", "seconds", "rows_out"}
        assert (row["rows"], row["rows_out"]) == (2000, 2000)
        assert row["seconds"] > 0
    assert "not measured" in capsys.readouterr().out  # the marks that need other targets
    assert sorted(path.name for path in tmp_path.iterdir()) == ["features.json", "features.png"]
    assert left_over(tmp_path) == []


@pytest.mark.full
@pytest.mark.integration
def test_writers_are_measured_when_they_leave_the_same_content(tmp_path: Path) -> None:
    options = ["--targets", "ours", "--parts", "writes", "--folder", str(tmp_path)]
    assert main(options, Sizes(reads=(), writes=(3000,), year=False)) == 0
    theirs, ours = json.loads((tmp_path / "features.json").read_text())["writes"]
    assert (theirs["target"], ours["target"]) == ("feast_materialize", "ours")
    for row in (theirs, ours):
        assert set(row) == {"target", "rows", "rows_per_second", "peak_mb"}
        assert row["rows"] == 3000
        assert row["rows_per_second"] > 10


@pytest.mark.full
def test_ctrl_c_while_it_measures_leaves_nothing(tmp_path: Path) -> None:
    """A terminal sends it to every process of the group, to servers as well."""
    command = [sys.executable, "-m", "tests.bench.features", "--targets", "feast_serve", "--parts", "reads"]
    command += ["--folder", str(tmp_path)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, start_new_session=True) as process:
        wait_until(lambda: any("feast" in line and " serve " in line for line in _below(process.pid)), timeout_s=120)
        os.killpg(process.pid, signal.SIGINT)
        output, _ = process.communicate(timeout=60)
    assert (process.returncode, list(tmp_path.iterdir())) == (130, [])
    assert "Stopped" in output
    assert _below(process.pid) == []


def _below(session: int) -> list[str]:
    """Command lines of live processes of a session."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if int((process / "stat").read_text().rpartition(")")[2].split()[3]) == session:
                found.append((process / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace"))
        except OSError:
            continue
    return [line for line in found if line]


ENTITIES = [{"origin": "JFK"}, {"origin": "LGA"}]
EXPECTED: list[Answer] = [{"wind": 0.10000000149011612, "at": 7, "kind": None}, {"wind": None, "at": 8, "kind": "jet"}]
STAND = Stand(Path(), "", b"", ENTITIES, EXPECTED)


def test_a_reader_may_write_a_float32_as_it_likes() -> None:
    readers.check([EXPECTED[0] | {"wind": 0.1}, EXPECTED[1]], STAND)


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (EXPECTED[:1], "1 rows for 2 entities"),
        ([EXPECTED[0], EXPECTED[1] | {"at": 9}], "at of {'origin': 'LGA'} is 9, by get_online_features 8"),
        ([EXPECTED[0] | {"wind": 0.10001}, EXPECTED[1]], "wind of {'origin': 'JFK'} is 0.10001"),
        ([EXPECTED[0], EXPECTED[1] | {"wind": 0.0}], "wind of {'origin': 'LGA'} is 0.0"),
        ([{"wind": 0.1, "at": 7}, EXPECTED[1]], r"other features than get_online_features: \['kind'\]"),
    ],
)
def test_a_wrong_reader_is_refused(found: list[Answer], said: str) -> None:
    with pytest.raises(NotComparableError, match=said):
        readers.check(found, STAND)


def test_feasts_columns_become_rows() -> None:
    assert rows_of({"origin": ["JFK", "LGA"], "wind": [1.0, None]}) == [{"wind": 1.0}, {"wind": None}]


FRAME = pl.DataFrame(
    {
        "id": [1, 2, 3],
        "r_tail_last_arr_delay": [1.0, None, -3.0],
        "last_arr_at": [10, None, 30],
        "r_tail_last_dep_delay": [1.0, None, -3.0],
        "last_dep_at": [10, 20, 30],
    }
)


def test_a_join_is_compared_by_id_whatever_pandas_made_of_its_gaps() -> None:
    pandas_like = FRAME.with_columns(pl.col("last_arr_at").cast(pl.Float64).fill_null(float("nan"))).reverse()
    joins.check(FRAME, pandas_like)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (FRAME.head(2), "2 rows where the reference has 3"),
        (FRAME.with_columns(id=pl.Series([1, 2, 4])), "or other ones"),
        (FRAME.with_columns(last_arr_at=pl.Series([10, 20, 30])), "1 values of last_arr_at are not"),
        (FRAME.with_columns(pl.col("r_tail_last_dep_delay") + 1e-3), "2 values of r_tail_last_dep_delay are not"),
    ],
)
def test_a_fast_wrong_join_is_refused(wrong: pl.DataFrame, said: str) -> None:
    with pytest.raises(NotComparableError, match=said):
        joins.check(wrong, FRAME)


def test_a_writer_that_leaves_other_content_is_refused(tmp_path: Path) -> None:
    for name, digest in (("reference", "ab"), ("same", "ab"), ("other", "cd")):
        (tmp_path / name).mkdir()
        writes.digest_path(tmp_path / name).write_text(digest)
    writes.check(tmp_path / "same", tmp_path / "reference")
    with pytest.raises(NotComparableError, match="digest cd, not ab"):
        writes.check(tmp_path / "other", tmp_path / "reference")


def test_a_process_of_its_own_answers_fails_or_dies_by_name() -> None:
    assert alone(divmod, 7, 2) == (3, 1)
    with pytest.raises(RuntimeError, match="ZeroDivisionError"):
        alone(divmod, 7, 0)
    with pytest.raises(RuntimeError, match="its process ended with 3"):
        alone(os._exit, 3)
