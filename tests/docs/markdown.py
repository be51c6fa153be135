"""What the tests of the documentation read out of Markdown: fenced blocks, links, tables, anchors."""

import re
from dataclasses import dataclass
from pathlib import Path

from tests.servers import ROOT

README = ROOT / "README.md"
PAGES = (README, *sorted((ROOT / "docs").glob("*.md")))

_FENCE = re.compile(r"^```([^\n`]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")


@dataclass(frozen=True)
class Block:
    """A fenced block: its language and its text."""

    language: str
    text: str


def blocks(page: Path, language: str) -> list[str]:
    """Texts of the fences of a language, whatever else stands behind its name."""
    return [text for found, text in _FENCE.findall(page.read_text()) if found.split()[:1] == [language]]


def prose(page: Path) -> str:
    """The page without its fenced blocks."""
    return _FENCE.sub("", page.read_text())


def links(page: Path) -> list[str]:
    """Targets of the page's links and pictures."""
    return _LINK.findall(prose(page))


def anchors(page: Path) -> set[str]:
    """Anchors of the headings, as code hosts make them."""
    headings = re.findall(r"^#+ (.+)$", prose(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def table(page: Path, heading: str) -> dict[str, list[str]]:
    """First column, without backticks, to the other columns of the table under `## heading`. A name stands once."""
    section = re.split(rf"^## {heading}$", page.read_text(), flags=re.MULTILINE)[1]
    section = re.split(r"^## ", section, flags=re.MULTILINE)[0]
    rows = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in section.splitlines() if line[:1] == "|"]
    found = {row[0].strip("` "): row[1:] for row in rows[2:]}
    assert len(found) == len(rows) - 2, f"a name stands twice under {heading}"
    return found
