"""The incident document as text: the template, and in it the parts that the platform writes.

A part stands between two marks. Only what is between them is ever changed; all else is a person's and stays byte for
byte. A part whose marks do not stand there once each, in order and without another's between, is a person's too.
"""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Literal

from orchestration.settings import ROOT

Part = Literal["header", "timeline", "evidence", "commands"]
PARTS: tuple[Part, ...] = ("header", "timeline", "evidence", "commands")
TEMPLATE = ROOT / "docs" / "incidents" / "TEMPLATE.md"
TIMELINE_HEAD = "| time | what happened, and who or what did it |\n|---|---|"
_ROW = re.compile(r"^\| \d{4}-\d\d-\d\d \d\d:\d\d:\d\d.*\|$")


class TemplateError(ValueError):
    """The template lacks something; the message names the file."""


def read_template(path: Path = TEMPLATE) -> str:
    """Raises TemplateError where it cannot be read or lacks a part."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise TemplateError(f"{path}: {error}") from error
    lacking: list[str] = [part for part in PARTS if body_of(text, part) is None]
    lacking += [word for word in (mark_of("ID"), "# Incident: TITLE\n") if text.count(word) != 1]
    if lacking:
        raise TemplateError(f"{path}: must hold once {', '.join(lacking)}")
    return text


def new_document(template: str, name: str, title: str) -> str:
    """The document of an incident whose id is `name`, before its parts are written."""
    return template.replace(mark_of("ID"), mark_of(name)).replace("TITLE", plain(title), 1)


def mark_of(name: str) -> str:
    """What says of which incident a document is."""
    return f"<!-- incident: {name} -->"


def with_parts(text: str, parts: Mapping[Part, str]) -> str:
    """`text` with these parts written anew."""
    for part, body in parts.items():
        if (found := _found(text, part)) is not None:
            text = f"{text[: found.start('body')]}\n{body}\n{text[found.end('body') :]}"
    return text


def body_of(text: str, part: Part) -> str | None:
    """What stands between the marks of a part, stripped; None where it is not marked."""
    found = _found(text, part)
    return None if found is None else found["body"].strip()


def timeline(before: str, rows: Iterable[str]) -> str:
    """The part `timeline`: its rows so far and `rows`, each once, in order. What a source forgets stays told."""
    kept = {line.rstrip("\r") for line in before.split("\n") if _ROW.match(line.rstrip("\r"))}
    return "\n".join([TIMELINE_HEAD, *sorted(kept | set(rows))])


def plain(text: str) -> str:
    """`text` in one line that is no mark, no markup and no end of a table's cell."""
    line = " ".join(text.encode("utf-8", "replace").decode().split())
    return line.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace("|", "\\|")


def _found(text: str, part: Part) -> re.Match[str] | None:
    begin, end = f"<!-- platform: {part} -->", f"<!-- platform: end {part} -->"
    if text.count(begin) != 1 or text.count(end) != 1:
        return None
    found = re.search(f"{re.escape(begin)}(?P<body>.*?){re.escape(end)}", text, re.DOTALL)
    return None if found is None or "<!-- platform:" in found["body"] else found
