"""The page's section is what the benchmark writes, and complete."""

import dataclasses
import re
from pathlib import Path

import pytest

from tests.bench.gateway import CONCURRENCY
from tests.bench.marks import MARKS, NOT_MEASURED
from tests.bench.plot import draw
from tests.bench.report import BEGIN, COLUMNS, END, PAGE, PICTURE, tables, write_docs
from tests.bench.rows import Row
from tests.bench.targets import TARGETS

ROWS = [Row(name, c, 1234.5, 500.0, 900.0, 30.0, 0, 0.1, 1.0) for c in CONCURRENCY for name in TARGETS]


def written(page: Path) -> str:
    return page.read_text().partition(BEGIN)[2].partition(END)[0]


def rows_below(page: Path, *columns: str) -> list[list[str]]:
    """Cells of the written table with these columns."""
    _, head, rest = written(page).partition(f"| {' | '.join(columns)} |")
    assert head, f"no table of {columns}"
    lines = rest.splitlines()[2:]
    end = next(at for at, line in enumerate(lines) if not line.startswith("|"))
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[:end]]


def figures(page: Path) -> dict[tuple[str, int], list[float]]:
    """The numbers of each row; a target that was not measured must say why below."""
    found = {}
    for target, concurrency, *cells in rows_below(page, *COLUMNS):
        measured = set(cells) != {NOT_MEASURED}
        assert measured or f"\nNot measured: {target}, " in written(page)
        found[target, int(concurrency)] = [float(re.sub(r"[,%]", "", cell)) for cell in cells] if measured else []
    return found


def test_the_page_has_every_target_at_every_concurrency() -> None:
    found = figures(PAGE)
    assert set(found) == {(name, c) for name in TARGETS for c in CONCURRENCY}
    assert all(len(cells) in (0, len(COLUMNS) - 2) for cells in found.values())
    assert found["gateway", 32]
    assert all(found["direct", c][1] == 1.0 for c in CONCURRENCY)


def test_the_page_judges_every_mark_and_says_how_to_run_it_again() -> None:
    judged = rows_below(PAGE, "mark", "measured", "to be", "result")
    assert [row[0] for row in judged] == [mark.what for mark in MARKS]
    assert {row[3] for row in judged} <= {"met", "missed", "not measured"}
    assert re.search(r"`make bench-gateway BENCH='.*--write-docs'`, on:\n\n- \d+ cores of ", written(PAGE))
    assert f"(images/{PICTURE.name})" in PAGE.read_text()
    assert PICTURE.exists()


def page(folder: Path) -> Path:
    path = folder / "page.md"
    path.write_text(f"# Before\n{BEGIN}\nold figures\n{END}\n\n## After\n")
    return path


def test_only_what_stands_between_the_markers_is_replaced(tmp_path: Path) -> None:
    path = page(tmp_path)
    write_docs(ROWS, {}, ["2 cores of something"], "make bench", path)
    first = path.read_text()
    assert first.startswith(f"# Before\n{BEGIN}\n")
    assert first.endswith(f"\n{END}\n\n## After\n")
    assert "old figures" not in first
    write_docs(ROWS, {}, ["2 cores of something"], "make bench", path)
    assert path.read_text() == first
    assert figures(path)["gateway", 8] == [1234, 1.0, 500, 900, 30, 0, 10.0, 100.0]


def test_a_target_that_was_skipped_keeps_its_rows_and_its_reason(tmp_path: Path) -> None:
    path = page(tmp_path)
    rows = [row for row in ROWS if row.target != "nginx"]
    write_docs(rows, {"nginx": "no nginx: as root, apt-get install nginx"}, [], "make bench", path)
    assert [figures(path)["nginx", c] for c in CONCURRENCY] == [[], [], []]
    assert "Not measured: nginx, no nginx" in path.read_text()


def test_a_page_without_markers_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "page.md"
    path.write_text("# A page\n")
    with pytest.raises(ValueError, match="lacks the markers"):
        write_docs(ROWS, {}, [], "make bench", path)
    assert path.read_text() == "# A page\n"


def test_the_terminal_shows_as_many_rows_and_marks() -> None:
    measured, marks = tables(ROWS)
    assert (measured.row_count, marks.row_count) == (len(ROWS), len(MARKS))


@pytest.mark.parametrize("rows", [ROWS, [dataclasses.replace(ROWS[0], cpu_us_per_request=0.0)]])
def test_a_picture_is_drawn_of_whatever_was_measured(rows: list[Row], tmp_path: Path) -> None:
    draw(rows, tmp_path / "images" / "picture.png")
    assert (tmp_path / "images" / "picture.png").read_bytes().startswith(b"\x89PNG")
