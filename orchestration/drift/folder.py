"""The folder of reports as people browse it: each report whole, `latest.html` and `latest.json`, an index."""

import json
import os
from collections.abc import Callable
from datetime import UTC, datetime
from html import escape
from pathlib import Path
from urllib.parse import quote

_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Drift reports</title>
<style>body {{ font: 16px/1.5 sans-serif; margin: 2rem }} td, th {{ padding: .2rem 1.5rem .2rem 0; text-align: left }}</style>
</head><body><h1>Drift reports</h1><p>Newest first; <a href="latest.html">latest</a>.</p>
<table><tr><th>report</th><th>figures</th><th>drifted</th><th>written (UTC)</th></tr>
{rows}
</table></body></html>
"""


def write_whole(path: Path, write: Callable[[Path], object]) -> None:
    """Let `write` fill a draft beside `path`, then put it in place in one step: nobody reads half a file."""
    draft = path.with_name(f".{os.getpid()}.{path.name}")
    write(draft)
    draft.replace(path)


def mark_latest(folder: Path, name: str) -> None:
    """Let `latest.html` and `latest.json` be the report `name`, and list it first in `index.html`."""
    for ending in ("json", "html"):
        target = f"{name}.{ending}"
        # Relative, so that the folder can be moved or served from anywhere.
        write_whole(folder / f"latest.{ending}", lambda draft, to=target: draft.symlink_to(to))  # type: ignore[misc]
    write_whole(folder / "index.html", lambda draft: draft.write_text(_PAGE.format(rows="\n".join(_rows(folder)))))


def reports(folder: Path) -> list[Path]:
    """The reports' JSON files, last written first."""
    found = [path for path in folder.glob("*.json") if not path.is_symlink() and path.with_suffix(".html").exists()]
    return sorted(found, key=lambda path: path.stat().st_mtime_ns, reverse=True)


def _rows(folder: Path) -> list[str]:
    return [_row(path) for path in reports(folder)]


def _row(path: Path) -> str:
    link, name = quote(path.stem), escape(path.stem)
    written = datetime.fromtimestamp(path.stat().st_mtime, UTC)
    cells = (f'<a href="{link}.html">{name}</a>', f'<a href="{link}.json">JSON</a>', _drifted(path), f"{written:%F %T}")
    return "<tr>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>"


def _drifted(path: Path) -> str:
    figures = json.loads(path.read_text()).get("figures")
    return f"{len(figures['drifted'])} ({figures['share']:.0%})" if figures else ""
