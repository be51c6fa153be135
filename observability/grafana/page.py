"""docs/dashboards.md: what each panel shows, how it looks while all is well, and where to go otherwise."""

from collections.abc import Iterator, Sequence

from observability.grafana.model import Board, Panel

_HEAD = """# Dashboards

Four, for Grafana 11.6, as code: `observability/grafana/boards/` says what they show, and
`python -m observability.grafana` writes the JSON in `observability/grafana/dashboards/` and this page. Change the boards,
never the JSON. A test holds the files against the code, every query against the metrics that there are, and all of them
against a real Prometheus that scrapes the running platform.

Grafana takes `observability/grafana/provisioning/` as `/etc/grafana/provisioning` and the JSON as
`/var/lib/grafana/dashboards`; Prometheus answers at `http://prometheus:9090`. Every panel's description says what is well
and what to do otherwise, and links to a section of [the runbook](runbook.md). Where your team reads that, the variable
`runbook` on top of each dashboard says; it is `docs/runbook.md` until you set it. Purple marks are changes of the rollout.

Figures that no process exports by itself are written as files by the step that knows them, and handed out by the reports'
server under `/prometheus/`: `drift-24h`, `drift-168h`, `health` and `skew` by the daily reports, `rollout` by each look at a
trial, `dagster` and `platform` by the sensor `export_gauges` every 30 s.
"""


def page(boards: Sequence[Board]) -> str:
    """The whole page, in Markdown."""
    return "\n".join([_HEAD, *(line for board in boards for line in _board(board))]) + "\n"


def _board(board: Board) -> Iterator[str]:
    yield f"## {board.title}\n"
    yield f"{board.what} Shows `{board.span}` to now, drawn anew every {board.refresh}.\n"
    for row in board.rows:
        yield f"**{row.title}**\n"
        yield "| panel | shows | well | otherwise |"
        yield "|---|---|---|---|"
        yield from (_line(panel) for panel in row.panels)
        yield ""


def _line(panel: Panel) -> str:
    about = panel.about
    otherwise = f"{about.otherwise} [{about.see}](runbook.md#{about.anchor})"
    return f"| {panel.title} | {about.what} | {about.well} | {otherwise} |"
