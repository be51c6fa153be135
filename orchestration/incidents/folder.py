"""The folder of the documents: each is found by its mark, whatever people call its file; none is ever half written."""

import os
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from orchestration.incidents.document import mark_of

# A person's bytes come back as they were, whatever their encoding.
_ENCODING = {"encoding": "utf-8", "errors": "surrogateescape"}
_TRIES = 5


class EditedMeanwhileError(OSError):
    """Somebody saves the file again and again; the next look writes it."""


def find(folder: Path, name: str) -> Path | None:
    """The document of the incident `name`. Raises OSError."""
    mark = mark_of(name).encode()
    files = (path for path in sorted(folder.glob("*.md")) if path.is_file())
    return next((path for path in files if mark in path.read_bytes()), None)


def create(folder: Path, day: datetime, name: str, text: str) -> Path:
    """Write a new document, `YYYY-MM-DD-<name>.md`, with a number behind where that is taken. Raises OSError."""
    folder.mkdir(parents=True, exist_ok=True)
    draft = _draft(folder, text.encode(**_ENCODING))
    number = 1
    try:
        while True:
            path = folder / f"{day:%Y-%m-%d}-{name}{'' if number == 1 else f'-{number}'}.md"
            try:
                os.link(draft, path)  # unlike a rename it never replaces
            except FileExistsError:
                number += 1
            else:
                return path
    finally:
        draft.unlink()


def update(path: Path, change: Callable[[str], str]) -> bool:
    """Replace the document by what `change` makes of it, in one step; whether anything changed. Raises OSError.

    What somebody saves while it is computed is read again. Between the last look and the step are microseconds.
    """
    for _ in range(_TRIES):
        before = path.read_bytes()
        after = change(before.decode(**_ENCODING)).encode(**_ENCODING)
        if after == before:
            return False
        draft = _draft(path.parent, after)
        if path.read_bytes() == before:
            draft.chmod(path.stat().st_mode)
            draft.replace(path)
            return True
        draft.unlink()
    raise EditedMeanwhileError(f"{path} is being edited")


def _draft(folder: Path, content: bytes) -> Path:
    draft = folder / f".{os.getpid()}.draft"
    draft.unlink(missing_ok=True)  # one that a dead writer left may be a second name of its document
    with draft.open("xb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    return draft
