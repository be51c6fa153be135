"""What a start makes of homes of older and newer formats."""

import json
from pathlib import Path

import pytest

from orchestration.home_format import (
    FILE,
    FORMAT,
    RESTORING,
    HomeFormat,
    HomeFormatError,
    bring_up_to_date,
    installed_versions,
    read_format,
)

INSTALLED = {"dagster": "1.13.27", "mlflow": "3.17.2", "feast": "0.67.0", "redis": "6.2.14"}


def write(home: Path, number: int, **versions: str) -> None:
    (home / FILE).write_text(json.dumps({"format": number, "versions": versions}))


def test_a_first_start_writes_it_and_a_second_leaves_it(tmp_path: Path) -> None:
    bring_up_to_date(tmp_path, INSTALLED)
    written = (tmp_path / FILE).stat().st_mtime_ns
    assert read_format(tmp_path) == HomeFormat(format=FORMAT, versions=INSTALLED)
    bring_up_to_date(tmp_path, INSTALLED)
    assert (tmp_path / FILE).stat().st_mtime_ns == written
    assert [path.name for path in tmp_path.iterdir()] == [FILE]


def test_a_newer_version_of_a_package_is_written_down(tmp_path: Path) -> None:
    write(tmp_path, FORMAT, feast="0.66.0")
    bring_up_to_date(tmp_path, INSTALLED)
    assert read_format(tmp_path) == HomeFormat(format=FORMAT, versions=INSTALLED)


def test_a_newer_format_is_refused_and_kept(tmp_path: Path) -> None:
    write(tmp_path, FORMAT + 1)
    with pytest.raises(
        HomeFormatError, match=rf"{tmp_path} is of format {FORMAT + 1}, and this platform knows .* up to"
    ):
        bring_up_to_date(tmp_path, INSTALLED)
    assert json.loads((tmp_path / FILE).read_text())["format"] == FORMAT + 1


@pytest.mark.parametrize(
    ("versions", "newer"),
    [
        ({"feast": "0.68.0"}, "feast 0.68.0"),
        ({"redis": "7.0.15"}, "redis 7.0.15"),
        ({"feast": "0.67.9", "redis": "6.2.99", "dagster": "9.9.9", "unknown": "1"}, None),
    ],
)
def test_what_a_newer_minor_version_wrote_is_refused_where_no_revision_tells(
    tmp_path: Path, versions: dict[str, str], newer: str | None
) -> None:
    write(tmp_path, FORMAT, **versions)
    if newer is None:
        bring_up_to_date(tmp_path, INSTALLED)
    else:
        with pytest.raises(HomeFormatError, match=f"was written with {newer}.*install {newer} or newer"):
            bring_up_to_date(tmp_path, INSTALLED)


def test_an_older_format_is_migrated_step_by_step_and_goes_on_where_it_was_interrupted(tmp_path: Path) -> None:
    done: list[int] = []

    def first(home: Path) -> None:
        assert home == tmp_path
        done.append(FORMAT - 2)

    def second(home: Path) -> None:
        done.append(FORMAT - 1)
        if len(done) == 2:
            raise KeyboardInterrupt

    write(tmp_path, FORMAT - 2)
    steps = {FORMAT - 2: first, FORMAT - 1: second}
    with pytest.raises(KeyboardInterrupt):
        bring_up_to_date(tmp_path, INSTALLED, steps)
    bring_up_to_date(tmp_path, INSTALLED, steps)
    assert done == [FORMAT - 2, FORMAT - 1, FORMAT - 1]
    assert read_format(tmp_path) == HomeFormat(format=FORMAT, versions=INSTALLED)


def test_an_older_format_without_a_way_says_what_to_do(tmp_path: Path) -> None:
    write(tmp_path, FORMAT - 1)
    with pytest.raises(
        HomeFormatError, match=f"nothing here brings format {FORMAT - 1} to {FORMAT}: start it once with"
    ):
        bring_up_to_date(tmp_path, INSTALLED, {})


@pytest.mark.parametrize("text", ["{", '{"format": "one"}', "\xff", "[]"])
def test_a_broken_file_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / FILE).write_bytes(text.encode("latin-1"))
    with pytest.raises(HomeFormatError, match=rf"{tmp_path}/{FILE} cannot be read: .*Bring back"):
        bring_up_to_date(tmp_path, INSTALLED)


def test_a_restore_that_did_not_end_is_refused(tmp_path: Path) -> None:
    (tmp_path / RESTORING).touch()
    with pytest.raises(HomeFormatError, match="was interrupted"):
        bring_up_to_date(tmp_path, INSTALLED)
    assert not (tmp_path / FILE).exists()


def test_the_installed_versions_are_those_of_what_owns_a_format() -> None:
    found = installed_versions()
    assert set(found) == {"dagster", "mlflow", "feast", "redis"}
    assert all(text[0].isdigit() for text in found.values())
