"""Documents in their folder: found by their mark, never replaced by another, never half written."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from orchestration.incidents.document import mark_of
from orchestration.incidents.folder import EditedMeanwhileError, create, find, update
from tests.orchestration.incidents.happenings import NOW
from tests.servers import ROOT


def test_two_of_one_day_and_name_get_two_files(tmp_path: Path) -> None:
    paths = [create(tmp_path / "incidents", NOW, "rollback-delay-v2", text) for text in ("one", "two", "three")]
    assert [path.name for path in paths] == [f"2026-11-29-rollback-delay-v2{n}.md" for n in ("", "-2", "-3")]
    assert [path.read_text() for path in paths] == ["one", "two", "three"]
    assert len(list((tmp_path / "incidents").iterdir())) == 3, "no draft is left"


def test_a_document_is_found_by_its_mark_under_any_name(tmp_path: Path) -> None:
    assert find(tmp_path, "a") is None
    (tmp_path / "a folder.md").mkdir()
    (tmp_path / "the night of the storm.md").write_bytes(b"caf\xe9\n" + mark_of("a").encode())
    (tmp_path / "other.md").write_text(mark_of("b"))
    assert find(tmp_path, "a") == tmp_path / "the night of the storm.md"


def test_what_does_not_change_is_not_written(tmp_path: Path) -> None:
    path = create(tmp_path, NOW, "x", "text\r\n")
    inode = path.stat().st_ino
    assert not update(path, lambda text: text)
    assert path.stat().st_ino == inode
    path.chmod(0o600)
    assert update(path, lambda text: text + "more")
    assert path.read_bytes() == b"text\r\nmore"
    assert path.stat().st_mode & 0o777 == 0o600


def test_what_is_saved_meanwhile_is_read_again(tmp_path: Path) -> None:
    path = create(tmp_path, NOW, "x", "machine")
    saves = iter(["person", "person again"])

    def change(text: str) -> str:
        if (saved := next(saves, None)) is not None:
            path.write_text(saved)
        return f"{text}, updated"

    update(path, change)
    assert path.read_text() == "person again, updated"


def test_somebody_who_never_stops_saving_is_left_alone(tmp_path: Path) -> None:
    path = create(tmp_path, NOW, "x", "machine")

    def change(text: str) -> str:
        path.write_text(f"{text}.")
        return f"{text}!"

    with pytest.raises(EditedMeanwhileError, match="is being edited"):
        update(path, change)
    assert path.read_text() == "machine....."
    assert len(list(tmp_path.iterdir())) == 1


def test_the_draft_of_a_dead_writer_of_the_same_number_is_no_second_name_of_its_document(tmp_path: Path) -> None:
    path = create(tmp_path, NOW, "x", "a person's words")
    os.link(path, tmp_path / f".{os.getpid()}.draft")
    create(tmp_path, NOW, "y", "another")
    assert path.read_text() == "a person's words"


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="file"):
        create(tmp_path / "file" / "incidents", NOW, "x", "text")


@pytest.mark.parametrize("step", ["os.fsync", "os.link", "Path.unlink", "Path.replace"])
def test_a_writer_that_is_killed_between_two_steps_leaves_a_whole_document_and_the_next_one_ends_it(
    tmp_path: Path, step: str
) -> None:
    """The process kills itself as it comes to the step; whoever starts again finds or makes the document."""
    code = f"""
import os, signal
from pathlib import Path
from orchestration.incidents.folder import create, find, update
from tests.orchestration.incidents.happenings import NOW
def die(*_, missing_ok=False):
    if not missing_ok:  # that one is before the first step
        os.kill(os.getpid(), signal.SIGKILL)
folder = Path({str(tmp_path)!r})
if os.environ["DIES"]:
    {step} = die
path = find(folder, "a") or create(folder, NOW, "x", "<!-- incident: a -->")
update(path, lambda text: text if text.endswith("end") else text + "end")
"""
    for dies in ("yes", ""):
        environment = os.environ | {"DIES": dies, "PYTHONPATH": str(ROOT)}
        done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=environment, check=False)
        assert done.returncode == (-signal.SIGKILL if dies else 0)
        assert {path.read_text() for path in tmp_path.glob("*.md")} <= {mark_of("a"), f"{mark_of('a')}end"}
    assert [path.name for path in tmp_path.glob("*.md")] == ["2026-11-29-x.md"]
    assert (tmp_path / "2026-11-29-x.md").read_text() == f"{mark_of('a')}end"
