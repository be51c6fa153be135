"""The walk over a range with refused days of both sources, against the same walk over good ones."""

import shutil
from datetime import date, timedelta
from pathlib import Path

import pytest

from orchestration.features.chain import COMPUTED, RAW, refusals, walk
from orchestration.features.views import VIEWS
from orchestration.ingestion.partitions import days, partition_path, remove_partitions
from tests.orchestration.ingestion.sources import on, source_folder

pytestmark = pytest.mark.integration

DAY = timedelta(days=1)
FIRST, END = date(2013, 6, 1), date(2013, 6, 15)
NO_FLIGHTS, NO_WEATHER = date(2013, 6, 12), date(2013, 6, 5)
ALL = [*RAW, *COMPUTED]
FOLDERS = ["raw/flights", "raw/weather", "training", *(f"features/{view.name}" for view in VIEWS)]


@pytest.fixture(scope="module")
def lakes(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, list[str]]:
    """A lake walked over good sources, one over sources with two refused days, and what the second walk said."""
    folder = tmp_path_factory.mktemp("walk")
    good = source_folder(folder / "good", FIRST - DAY, END + DAY)
    bad = source_folder(
        folder / "bad",
        FIRST - DAY,
        END + DAY,
        flights=on(NO_FLIGHTS, 2, tailnum="?"),
        weather=on(NO_WEATHER, 4, visib="fog"),
    )
    for lake, source in ((folder / "clean", good), (folder / "holed", bad)):
        steps = list(walk(lake, FIRST, END, write=ALL, examine=(), source=source))
    return folder / "clean", folder / "holed", refusals(steps)


def stored(lake: Path, folder: str) -> set[date]:
    return {date.fromisoformat(path.stem.removeprefix("day=")) for path in (lake / folder).glob("day=*.parquet")}


def test_each_day_that_is_not_there_is_named_with_the_day_that_holds_it_back(
    lakes: tuple[Path, Path, list[str]],
) -> None:
    _, _, said = lakes
    assert [line.split(":")[0] for line in said if "refused" in line and "held" not in line] == [
        "raw_flights 2013-06-12 refused",
        "raw_weather 2013-06-05 refused",
    ]
    assert [line for line in said if "held back" in line] == [
        "feature_views 2013-06-05 to 2013-06-06 held back: weather of 2013-06-05 were refused",
        "feature_views 2013-06-12 to 2013-06-14 held back: flights of 2013-06-12 were refused",
        "training_rows 2013-06-05 to 2013-06-07 held back: weather of 2013-06-05 were refused",
        "training_rows 2013-06-12 to 2013-06-14 held back: flights of 2013-06-12 were refused",
    ]


@pytest.mark.parametrize("folder", FOLDERS)
def test_a_day_that_is_there_is_as_if_no_other_had_been_refused(
    lakes: tuple[Path, Path, list[str]], folder: str
) -> None:
    clean, holed, _ = lakes
    days = stored(holed, folder)
    assert len(days) >= 8
    for day in days:
        assert partition_path(holed / folder, day).read_bytes() == partition_path(clean / folder, day).read_bytes()


def test_only_what_is_asked_for_is_written(lakes: tuple[Path, Path, list[str]]) -> None:
    clean, _, _ = lakes
    remove_partitions(clean / "training", [FIRST])
    (step,) = walk(clean, FIRST, FIRST + DAY, write=["training_rows"], examine=(), source=None)
    assert step.asset == "training_rows"
    assert step.outcome is not None
    assert list(step.outcome.rows) == [FIRST]
    assert FIRST in stored(clean, "training")


def test_a_day_without_its_features_is_not_computed_and_says_so(lakes: tuple[Path, Path, list[str]]) -> None:
    _, holed, _ = lakes
    remove_partitions(holed / "features" / "tail_arrivals", [FIRST])
    steps = list(walk(holed, FIRST, FIRST + DAY, write=["training_rows"], examine=(), source=None))
    assert refusals(steps) == [f"training_rows {FIRST} held back: features of {FIRST} are not materialized"]
    assert FIRST not in stored(holed, "training"), "what followed from them is gone too"


@pytest.mark.parametrize("write", [["raw_flights"], ALL], ids=["flights alone", "all"])
def test_a_day_that_is_refused_later_takes_away_what_followed_from_it(
    lakes: tuple[Path, Path, list[str]], tmp_path: Path, write: list[str]
) -> None:
    clean, _, _ = lakes
    lake, bad = tmp_path / "lake", FIRST + 2 * DAY
    shutil.copytree(clean, lake)
    there = stored(lake, "training")
    source = source_folder(tmp_path / "bad", bad - DAY, bad + 2 * DAY, flights=on(bad, 2, origin="SFO"))
    said = refusals(walk(lake, bad, bad + DAY, write=write, examine=(), source=source))
    assert stored(lake, "features/origin_board") == set(days(FIRST, END)) - set(days(bad, bad + 8 * DAY))
    assert stored(lake, "training") == there - set(days(bad, bad + 9 * DAY))
    since = bad if write == ["raw_flights"] else bad + DAY
    assert f"training_rows {since} to {bad + 8 * DAY} held back: flights of {bad} were refused" in said


def test_a_hole_in_the_raw_days_is_not_computed_around(lakes: tuple[Path, Path, list[str]], tmp_path: Path) -> None:
    clean, _, _ = lakes
    shutil.copytree(clean / "raw", tmp_path / "raw")
    hole = FIRST + 3 * DAY
    remove_partitions(tmp_path / "raw" / "flights", [hole])
    said = refusals(walk(tmp_path, FIRST, END, write=[*COMPUTED], examine=(), source=None))
    assert f"training_rows {hole + DAY} to {hole + 8 * DAY} held back: flights of {hole} are missing" in said
    assert stored(tmp_path, "training") == set(days(FIRST, END)) - set(days(hole, hole + 9 * DAY))
