"""The runbook as its tests read it: each block with its tag and what the page says that it shows."""

import re
from dataclasses import dataclass

from tests.docs.markdown import table
from tests.servers import ROOT

RUNBOOK = ROOT / "docs" / "runbook.md"
TAGS = ("run", "compose-only", "make-target")
KINDS = (*TAGS, "path", "metric")

_BLOCK = re.compile(
    r"^```(?P<tag>[^\n]*)\n(?P<text>.*?)^```\n(?:\n(?P<after>[^\n]+(?:\n[^\n]+)*))?", re.MULTILINE | re.DOTALL
)
# Up to the end of the sentence; what stands in backticks may hold its marks.
_SHOWS = re.compile(r"Shows ((?:`[^`]+`|[^`.:;])+)")


@dataclass(frozen=True)
class Command:
    """A block. `shows`: alternatives, in each of which every literal must appear in what the command says."""

    tag: str
    text: str
    shows: tuple[tuple[str, ...], ...]

    def told(self, output: str) -> bool:
        return any(all(literal in output for literal in literals) for literals in self.shows)


@dataclass(frozen=True)
class Older:
    """A row of the table of older commands: what is typed here (the last of what the cell has in backticks), its kind."""

    here: tuple[str, ...]
    kind: str


def commands(tag: str = "") -> list[Command]:
    """Every block of the page, or those of a tag, in order."""
    found = [_command(block) for block in _BLOCK.finditer(RUNBOOK.read_text())]
    return [command for command in found if tag in ("", command.tag)]


def lines(tag: str) -> list[str]:
    """The commands of the blocks of a tag and of the table's rows of that kind, one a line."""
    in_blocks = [line for command in commands(tag) for line in command.text.splitlines()]
    return in_blocks + [here for older in OLDER.values() if older.kind == tag for here in older.here]


def _command(block: re.Match[str]) -> Command:
    said = _SHOWS.match(block["after"] or "")
    alternatives = said[1].split("` or `") if said else []
    shows = tuple(tuple(re.findall(r"`([^`]+)`", f"`{part.strip(' `')}`")) for part in alternatives)
    return Command(block["tag"].removeprefix("bash "), block["text"], shows)


OLDER = {
    older: Older(tuple(re.findall(r"`([^`]+)`", here)), kind)
    for older, (here, kind) in table(RUNBOOK, "Older commands and paths").items()
}
