"""A dashboard as the JSON that Grafana loads."""

from grafana_foundation_sdk.builders import dashboard as builders
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import dashboard

from observability.grafana.model import RUNBOOK, Board
from observability.grafana.pictures import DATASOURCE, picture

TAG = "drift-platform"


def document(board: Board) -> str:
    """JSON of Grafana's dashboard model, one value a line; the same board is the same text."""
    made = (
        builders.Dashboard(board.title)
        .uid(board.uid)
        .description(board.what)
        .tags([TAG])
        .timezone("browser")
        .time(board.span, "now")
        .refresh(board.refresh)
        .tooltip(dashboard.DashboardCursorSync.CROSSHAIR)
        .readonly()
        .link(
            builders.DashboardLink("Dashboards")
            .type(dashboard.DashboardLinkType.DASHBOARDS)
            .tags([TAG])
            .keep_time(True)
        )
        .link(
            builders.DashboardLink("Runbook")
            .type(dashboard.DashboardLinkType.LINK)
            .url("${runbook}")
            .target_blank(True)
        )
    )
    for name, values in board.choices.items():
        first = dashboard.VariableOption(selected=True, text=values[0], value=values[0])
        made.with_variable(builders.CustomVariable(name).label(name).values(",".join(values)).current(first))
    made.with_variable(builders.TextBoxVariable("runbook").label("runbook").default_value(RUNBOOK))
    number = 0
    for row in board.rows:
        number += 1
        made.with_row(builders.Row(row.title).id(number))
        for panel in row.panels:
            number += 1
            made.with_panel(picture(panel, number))
    built = made.build()
    built.annotations = dashboard.AnnotationContainer(list_val=[_rollout_changes()])
    return JSONEncoder(indent=2, sort_keys=False).encode(built) + "\n"


def _rollout_changes() -> dashboard.AnnotationQuery:
    """A mark on every panel where the rollout changed."""
    return dashboard.AnnotationQuery(
        name="Rollout changes",
        datasource=DATASOURCE,
        icon_color="purple",
        expr="changes(rollout_state_generation[1m]) > 0",
    )
