"""What the tests read out of PromQL: the metrics that an expression names; and Grafana's variables filled in."""

import json
import re
from dataclasses import dataclass
from typing import Any

from tests.servers import ROOT

FOLDER = ROOT / "observability" / "grafana" / "dashboards"
_NOT_METRICS = frozenset({"and", "or", "unless", "bool", "offset", "inf", "nan", "by", "without", "on", "ignoring"})


@dataclass(frozen=True)
class Drawn:
    """A query as a dashboard's JSON has it; `instant`: its last value alone is drawn."""

    board: str
    panel: str
    expr: str
    instant: bool

    def __str__(self) -> str:
        return f"{self.board}: {self.panel}: {self.expr}"


def boards() -> dict[str, dict[str, Any]]:
    """The committed dashboards by uid."""
    return {path.stem: json.loads(path.read_text()) for path in sorted(FOLDER.glob("*.json"))}


def panels(board: dict[str, Any]) -> list[dict[str, Any]]:
    return [panel for panel in board["panels"] if panel["type"] != "row"]


def queries() -> list[Drawn]:
    """Every query of every panel, and of the marks."""
    found = []
    for uid, board in boards().items():
        for panel in panels(board):
            found += [Drawn(uid, panel["title"], t["expr"], bool(t.get("instant"))) for t in panel["targets"]]
        found += [Drawn(uid, mark["name"], mark["expr"], instant=False) for mark in board["annotations"]["list"]]
    return found


def filled(expr: str, *, rate_interval: str = "1m", span: str = "1h", hours: str = "24") -> str:
    """The expression as Grafana sends it."""
    values = {"__rate_interval": rate_interval, "__range": span, "hours": hours}
    for name, value in values.items():
        expr = expr.replace(f"${name}", value)
    assert "$" not in expr, f"a variable that nobody sets: {expr}"
    return expr


def metric_names(expr: str) -> set[str]:
    """The metrics that an expression reads."""
    bare = re.sub(r'"[^"]*"', "", expr)
    bare = re.sub(r"\{[^}]*\}|\[[^\]]*\]", "", bare)
    bare = re.sub(r"\b(by|without|on|ignoring|group_left|group_right)\s*\([^)]*\)", "", bare)
    words = re.findall(r"(?<![\w:.])([a-zA-Z_:][\w:]*)(?!\s*\(|[\w:])", bare)
    return {word for word in words if word.lower() not in _NOT_METRICS and not re.fullmatch(r"e\d*", word)}
