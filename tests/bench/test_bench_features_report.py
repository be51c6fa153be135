"""The page's section on the feature path is what the benchmark writes, and complete."""

import re
from pathlib import Path

import pytest

from tests.bench.features.marks import JOINERS, MARKS, READERS, READS, WRITERS, WRITES
from tests.bench.features.report import (
    BEGIN,
    END,
    JOIN_COLUMNS,
    MARK_COLUMNS,
    PAGE,
    PICTURE,
    READ_COLUMNS,
    WRITE_COLUMNS,
    Result,
    draw,
    sentences,
    tables,
    write_docs,
)
from tests.bench.test_bench_features_marks import found


def written(page: Path) -> str:
    return page.read_text().partition(BEGIN)[2].partition(END)[0]


def rows_below(page: Path, columns: tuple[str, ...]) -> list[list[str]]:
    """Cells of the written table with these columns."""
    _, head, rest = written(page).partition(f"| {' | '.join(columns)} |")
    assert head, f"no table of {columns}"
    lines = rest.splitlines()[2:]
    end = next(at for at, line in enumerate([*lines, ""]) if not line.startswith("|"))
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[:end]]


def complete(page: Path) -> None:
    reads, writes, joined = (rows_below(page, c) for c in (READ_COLUMNS, WRITE_COLUMNS, JOIN_COLUMNS))
    assert [row[:3] for row in reads] == [[t, str(size), str(at)] for size, at in READS for t in READERS]
    assert [row[:2] for row in writes] == [[t, f"{size:,}"] for size in WRITES for t in WRITERS]
    assert [row[0] for row in joined] == list(JOINERS)
    assert [row[0] for row in rows_below(page, MARK_COLUMNS)] == [mark.what for mark in MARKS]


def test_the_page_has_every_figure_and_mark_and_says_how_to_run_it_again() -> None:
    complete(PAGE)
    assert re.search(r"`make bench-features BENCH='.*--write-docs'`, on:\n\n- \d+ cores of ", written(PAGE))
    assert f"(images/{PICTURE.name})" in PAGE.read_text()
    assert PICTURE.exists()


def page(folder: Path) -> Path:
    path = folder / "page.md"
    path.write_text(f"# Before\n{BEGIN}\nold figures\n{END}\n\n## After\n")
    return path


def test_only_what_stands_between_the_markers_is_replaced(tmp_path: Path) -> None:
    path, result = page(tmp_path), Result(found(), 19.3)
    write_docs(result, ["2 cores of something"], "make bench-features", path)
    first = path.read_text()
    assert first.startswith(f"# Before\n{BEGIN}\n")
    assert first.endswith(f"\n{END}\n\n## After\n")
    assert "old figures" not in first
    assert "364 days of raw flights and weather become nine feature views in 19.3 s." in first
    complete(path)
    write_docs(result, ["2 cores of something"], "make bench-features", path)
    assert path.read_text() == first


def test_a_page_without_markers_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "page.md"
    path.write_text("# A page\n")
    with pytest.raises(ValueError, match="lacks the markers"):
        write_docs(Result(found()), [], "make bench-features", path)
    assert path.read_text() == "# A page\n"


def test_what_failed_keeps_its_rows_and_its_reason_and_what_lost_rows_is_named(tmp_path: Path) -> None:
    rows = found() | {"writes": []}
    rows["joins"][-1]["rows_out"] = 280
    result = Result(rows, failed={"writes by ours": "failed: out of memory"})
    assert list(sentences(result)) == [
        "`feast_dask` lost 20 of 300 rows.",
        "Not measured: writes by ours, failed: out of memory.",
    ]
    path = page(tmp_path)
    write_docs(result, [], "make bench-features", path)
    complete(path)
    assert all(row[2:] == ["-", "-"] for row in rows_below(path, WRITE_COLUMNS))


def test_the_terminal_shows_as_many_rows_and_marks() -> None:
    *figures, marks = tables(Result(found()))
    assert sum(table.row_count for table in figures) == sum(map(len, found().values()))
    assert marks.row_count == len(MARKS)


@pytest.mark.parametrize("rows", [found(), {"reads": [], "writes": [], "joins": []}])
def test_a_picture_is_drawn_of_whatever_was_measured(rows: dict[str, list[dict[str, object]]], tmp_path: Path) -> None:
    draw(rows, tmp_path / "images" / "picture.png")
    assert (tmp_path / "images" / "picture.png").read_bytes().startswith(b"\x89PNG")
