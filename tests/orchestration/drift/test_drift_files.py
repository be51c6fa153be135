"""Csv files as windows, and the command over them."""

from pathlib import Path

import polars as pl
import pytest

from orchestration.drift import __main__ as command
from orchestration.drift.files import read_window
from orchestration.drift.report import DriftInputError
from orchestration.features.training import FEATURES
from orchestration.settings import SAMPLES

CURRENT = SAMPLES / "drift_current.csv"
HEADER, FIRST, *_ = CURRENT.read_text().splitlines()


def file(folder: Path, *lines: str) -> Path:
    path = folder / "window.csv"
    path.write_text("".join(f"{line}\n" for line in lines))
    return path


def test_the_features_come_in_order_categories_as_text_and_nothing_else(tmp_path: Path) -> None:
    found = read_window(file(tmp_path, HEADER, FIRST))
    assert tuple(found.columns) == FEATURES
    assert found["s_carrier"].to_list() == ["AA"]
    assert set(found.drop("s_carrier", "s_origin").dtypes) == {pl.Float64}


def test_an_empty_field_is_missing(tmp_path: Path) -> None:
    assert read_window(file(tmp_path, HEADER, FIRST.replace(",1096,", ",,")))["s_distance"].to_list() == [None]


@pytest.mark.parametrize(
    ("lines", "complaint"),
    [
        ((), "is not a csv file: empty CSV"),
        ((HEADER,), "has a header but no rows"),
        (
            (HEADER.replace("s_distance", "far").replace("w_visib", "sight"), FIRST),
            "lacks the columns s_distance, w_visib",
        ),
        *(
            (
                (HEADER, FIRST, FIRST.replace(",1096,", f",{field},")),
                f"row 2 after the header: s_distance is '{field}', not a finite number",
            )
            for field in ("far", "inf", "-inf", "1e400", "NaN")
        ),
        ((HEADER, FIRST + ",1"), "is not a csv file: found more fields"),
        (("a;b", "1;2"), "lacks the columns s_carrier"),
    ],
)
def test_a_bad_file_is_refused_with_its_path_and_what_is_wrong(
    tmp_path: Path, lines: tuple[str, ...], complaint: str
) -> None:
    path = file(tmp_path, *lines)
    with pytest.raises(DriftInputError) as raised:
        read_window(path)
    assert str(raised.value).startswith(str(path))
    assert complaint in str(raised.value)


def test_binary_files_folders_and_missing_files_are_refused_by_path(tmp_path: Path) -> None:
    binary = tmp_path / "w.parquet"
    pl.DataFrame({"a": [1.5]}).write_parquet(binary)
    with pytest.raises(DriftInputError, match="is not a csv file"):
        read_window(binary)
    for path in (tmp_path, tmp_path / "none.csv", tmp_path / "*.parquet"):
        with pytest.raises(DriftInputError, match="there is no such file"):
            read_window(path)


def test_the_command_says_what_is_wrong_in_one_line_and_exits_with_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DRIFT_REFERENCE_PATH", str(tmp_path / "calm.csv"))
    assert command.main(["--output", str(tmp_path / "out")]) == 2
    assert capsys.readouterr().err == f"no drift report: {tmp_path / 'calm.csv'}: there is no such file\n"
    assert not (tmp_path / "out").exists()


def test_a_setting_that_cannot_be_read_is_one_line_too(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REDIS_PORT", "abc")
    assert command.main([]) == 2
    said = capsys.readouterr().err
    assert said.startswith("no drift report: ")
    assert "REDIS_PORT" in said


@pytest.mark.integration
def test_storm_against_calm_is_reported_and_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REPORTS_PATH", str(tmp_path))
    assert command.main([]) == 0
    told = capsys.readouterr().out
    assert told.startswith("Verdict: fail, 62% of the features have drifted")
    assert "r_org_overdue_share" in told
    assert (tmp_path / "drift" / "latest.html").exists()


@pytest.mark.integration
def test_a_window_against_itself_has_not_drifted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    calm = str(SAMPLES / "drift_reference.csv")
    assert command.main(["--reference", calm, "--current", calm, "--output", str(tmp_path)]) == 0
    assert capsys.readouterr().out.startswith("Verdict: pass, 0% of the features have drifted")
