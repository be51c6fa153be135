"""The summary says what happened in this run, however it ended."""

import io
import json
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from orchestration.demo.narrator import Narrator


@pytest.fixture
def narrator() -> Narrator:
    return Narrator(Console(file=io.StringIO(), width=200))


def said(narrator: Narrator) -> str:
    file = narrator.console.file
    assert isinstance(file, io.StringIO)
    return file.getvalue()


def summary(narrator: Narrator, folder: Path) -> dict[str, Any]:
    path = folder / "demo" / "summary.json"
    narrator.write_summary(path)
    assert list(path.parent.iterdir()) == [path]
    return json.loads(path.read_text())


def test_a_summary_holds_steps_in_order_figures_and_the_duration(narrator: Narrator, tmp_path: Path) -> None:
    for name in ("one", "two"):
        with narrator.step(name, name.title()):
            pass
    narrator.figures["april_auc"] = 0.8
    found = summary(narrator, tmp_path)
    assert [(s["name"], s["ok"]) for s in found["steps"]] == [("one", True), ("two", True)]
    assert found["april_auc"] == 0.8
    assert found["time_to_zero_seconds"] is None
    assert found["user_visible_errors"] is None
    assert found["seconds"] >= sum(s["seconds"] for s in found["steps"]) - 0.02
    assert "1. One" in said(narrator)
    assert "2. Two" in said(narrator)


@pytest.mark.parametrize("error", [RuntimeError("boom"), KeyboardInterrupt(), SystemExit(3)])
def test_a_step_that_raises_is_a_failed_step_and_the_error_goes_on(
    narrator: Narrator, tmp_path: Path, error: BaseException
) -> None:
    with pytest.raises(type(error)), narrator.step("one", "One"):
        raise error
    assert [(s["name"], s["ok"]) for s in summary(narrator, tmp_path)["steps"]] == [("one", False)]
    assert "failed in" in said(narrator)


def test_before_the_first_step_the_summary_claims_nothing(narrator: Narrator, tmp_path: Path) -> None:
    assert summary(narrator, tmp_path)["steps"] == []


def test_a_summary_replaces_an_earlier_one(narrator: Narrator, tmp_path: Path) -> None:
    summary(narrator, tmp_path)
    with narrator.step("one", "One"):
        pass
    assert len(summary(narrator, tmp_path)["steps"]) == 1


def test_text_with_brackets_is_told_as_it_is(narrator: Narrator) -> None:
    narrator.tell("a path [/tmp] and [bold]")
    with narrator.step("one", "One") as live:
        live("[/nothing]")
    assert "a path [/tmp] and [bold]" in said(narrator)
