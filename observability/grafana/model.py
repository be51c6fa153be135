"""What a dashboard is here: rows of panels, each with its queries and what they mean to who looks at them."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal

Kind = Literal["lines", "stat", "names", "gauge", "bars", "states", "table", "heatmap"]
Colour = Literal["green", "yellow", "orange", "red", "blue", "purple", "text"]
# Of the docs; the variable of the dashboards says where people read them.
RUNBOOK = "docs/runbook.md"


@dataclass(frozen=True)
class Query:
    """PromQL, and the name of its series: `{{label}}` stands for a label's value. Of a table it is the column's name."""

    expr: str
    legend: str


@dataclass(frozen=True)
class About:
    """What a panel shows, how it looks while all is well, what to do otherwise, and the runbook's heading on it."""

    what: str
    well: str
    otherwise: str
    see: str

    @property
    def markdown(self) -> str:
        """The panel's description."""
        return f"{self.what}\n\n**Well:** {self.well}\n\n**Not well:** {self.otherwise}\n\n**Runbook:** {self.see} ({RUNBOOK})"

    @property
    def anchor(self) -> str:
        """The heading's anchor, as code hosts make it."""
        return re.sub(r"[^\w\- ]", "", self.see.lower()).replace(" ", "-")


@dataclass(frozen=True)
class Limit:
    """From `value` on a figure has this colour; None: from the least."""

    value: float | None
    colour: Colour


@dataclass(frozen=True)
class Panel:
    """One picture. `names` shows which series are there, `states` their values as coloured stretches of time.

    `unit` is one of Grafana's ids (https://github.com/grafana/grafana, packages/grafana-data, valueFormats/categories.ts).
    `words` gives a text and a colour to values, `colours` a colour to series by name. `width` is in 24ths of the screen,
    `height` in Grafana's rows of 30 px. Of a table `key` is the label by which the columns are joined.
    """

    kind: Kind
    title: str
    about: About
    queries: tuple[Query, ...]
    unit: str = "short"
    limits: tuple[Limit, ...] = (Limit(None, "blue"),)
    words: Mapping[str, tuple[str, Colour]] = field(default_factory=dict)
    colours: Mapping[str, Colour] = field(default_factory=dict)
    width: int = 8
    height: int = 8
    bounds: tuple[float | None, float | None] = (None, None)
    decimals: int | None = None
    stacked: bool = False
    steps: bool = False
    key: str = ""


@dataclass(frozen=True)
class Row:
    """Panels under one heading."""

    title: str
    panels: tuple[Panel, ...]


@dataclass(frozen=True)
class Board:
    """One dashboard; `span` is the default range, `refresh` how often it is drawn anew, `choices` its variables."""

    uid: str
    title: str
    what: str
    rows: tuple[Row, ...]
    span: str = "now-6h"
    refresh: str = "30s"
    choices: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def panels(self) -> Iterator[Panel]:
        """Every panel, in its order."""
        return (panel for row in self.rows for panel in row.panels)


def above(red: float, orange: float | None = None) -> tuple[Limit, ...]:
    """Green; from `orange` and from `red` on these."""
    between = () if orange is None else (Limit(orange, "orange"),)
    return (Limit(None, "green"), *between, Limit(red, "red"))


def below(red: float, orange: float | None = None) -> tuple[Limit, ...]:
    """Red below `red`, then orange up to `orange`, then green."""
    if orange is None:
        return (Limit(None, "red"), Limit(red, "green"))
    return (Limit(None, "red"), Limit(red, "orange"), Limit(orange, "green"))
