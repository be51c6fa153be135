"""Panels as Grafana's builders make them: one picture for each kind."""

from collections.abc import Callable, Mapping
from typing import TypeAlias

from grafana_foundation_sdk.builders import bargauge, common, gauge, heatmap, prometheus, stat, statetimeline, table
from grafana_foundation_sdk.builders import dashboard as builders
from grafana_foundation_sdk.builders import timeseries as lines
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.cog.variants import Dataquery
from grafana_foundation_sdk.models import common as kinds
from grafana_foundation_sdk.models import dashboard
from grafana_foundation_sdk.models import heatmap as heatmap_kinds
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

from observability.grafana.model import Kind, Panel

DATASOURCE = dashboard.DataSourceRef(type_val="prometheus", uid="drift-prometheus")
# Drawn from the last value alone, so they need no range.
_INSTANT: frozenset[Kind] = frozenset({"names", "bars", "table"})


# Each has the methods that are used on all.
Picture: TypeAlias = (
    lines.Panel | stat.Panel | gauge.Panel | bargauge.Panel | statetimeline.Panel | table.Panel | heatmap.Panel
)


def picture(panel: Panel, number: int) -> Picture:
    """The builder of a panel; `number` is its id within the dashboard."""
    made = _KINDS[panel.kind](panel)
    made.id(number).title(panel.title).description(panel.about.markdown).datasource(DATASOURCE)
    made.targets([_target(panel, at) for at in range(len(panel.queries))])
    made.links([builders.DashboardLink(f"Runbook: {panel.about.see}").url(f"${{runbook}}#{panel.about.anchor}")])
    made.unit(panel.unit).span(panel.width).height(panel.height)
    made.thresholds(
        builders.ThresholdsConfig()
        .mode(dashboard.ThresholdsMode.ABSOLUTE)
        .steps([dashboard.Threshold(limit.value, limit.colour) for limit in panel.limits])
    )
    least, most = panel.bounds
    if least is not None:
        made.min(least)
    if most is not None:
        made.max(most)
    if panel.decimals is not None:
        made.decimals(panel.decimals)
    if panel.words:
        made.mappings([_words(panel.words)])
    for name, colour in panel.colours.items():
        fixed = {"mode": dashboard.FieldColorModeId.FIXED, "fixedColor": colour}
        made.override_by_name(name, [dashboard.DynamicConfigValue("color", fixed)])
    return made


def _target(panel: Panel, at: int) -> Builder[Dataquery]:
    query = panel.queries[at]
    target = prometheus.Dataquery().expr(query.expr).legend_format(query.legend).ref_id(_letter(at))
    target.instant() if panel.kind in _INSTANT else target.range()
    if panel.kind == "table":
        target.format(PromQueryFormat.TABLE)
    if panel.kind == "heatmap":
        target.format(PromQueryFormat.HEATMAP)
    return target


def _letter(at: int) -> str:
    """Grafana's name of a panel's query by its place."""
    return chr(ord("A") + at)


def _words(words: Mapping[str, tuple[str, str]]) -> dashboard.ValueMap:
    texts = {value: dashboard.ValueMappingResult(text=text, color=colour) for value, (text, colour) in words.items()}
    return dashboard.ValueMap(options=texts)


def _by_thresholds() -> Builder[dashboard.FieldColor]:
    return builders.FieldColor().mode(dashboard.FieldColorModeId.THRESHOLDS)


def _last() -> Builder[kinds.ReduceDataOptions]:
    return common.ReduceDataOptions().calcs(["lastNotNull"])


def _lines(panel: Panel) -> Picture:
    many = len(panel.queries) > 1 or "{{" in panel.queries[0].legend
    legend = common.VizLegendOptions().placement(kinds.LegendPlacement.BOTTOM).show_legend(many)
    legend.display_mode(kinds.LegendDisplayMode.TABLE if panel.width > 8 else kinds.LegendDisplayMode.LIST)
    made = lines.Panel().legend(legend.calcs(["lastNotNull", "max"] if panel.width > 8 else []))
    made.tooltip(common.VizTooltipOptions().mode(kinds.TooltipDisplayMode.MULTI).sort(kinds.SortOrder.DESCENDING))
    made.line_width(2).fill_opacity(40 if panel.stacked else 8).show_points(kinds.VisibilityMode.AUTO)
    made.color_scheme(builders.FieldColor().mode(dashboard.FieldColorModeId.PALETTE_CLASSIC_BY_NAME))
    if panel.steps:
        made.line_interpolation(kinds.LineInterpolation.STEP_AFTER).span_nulls(True)
    if panel.stacked:
        made.stacking(common.StackingConfig().mode(kinds.StackingMode.NORMAL).group("A"))
    if len(panel.limits) > 1:
        dashed = common.GraphThresholdsStyleConfig().mode(kinds.GraphThresholdsStyleMode.DASHED)
        made.thresholds_style(dashed)
    return made


def _stat(panel: Panel) -> Picture:
    made = stat.Panel().reduce_options(_last()).color_scheme(_by_thresholds())
    made.graph_mode(kinds.BigValueGraphMode.AREA).color_mode(kinds.BigValueColorMode.VALUE)
    several = len(panel.queries) > 1 or "{{" in panel.queries[0].legend
    return made.text_mode(kinds.BigValueTextMode.VALUE_AND_NAME if several else kinds.BigValueTextMode.VALUE)


def _names(_panel: Panel) -> Picture:
    made = stat.Panel().reduce_options(_last()).color_scheme(_by_thresholds())
    made.graph_mode(kinds.BigValueGraphMode.NONE).color_mode(kinds.BigValueColorMode.BACKGROUND)
    return made.text_mode(kinds.BigValueTextMode.NAME)


def _gauge(_panel: Panel) -> Picture:
    return gauge.Panel().reduce_options(_last()).color_scheme(_by_thresholds()).show_threshold_markers(True)


def _bars(_panel: Panel) -> Picture:
    made = bargauge.Panel().reduce_options(_last()).color_scheme(_by_thresholds())
    made.orientation(kinds.VizOrientation.HORIZONTAL).display_mode(kinds.BarGaugeDisplayMode.GRADIENT)
    return made.show_unfilled(True)


def _states(_panel: Panel) -> Picture:
    made = (
        statetimeline.Panel().merge_values(True).show_value(kinds.VisibilityMode.NEVER).color_scheme(_by_thresholds())
    )
    return made.legend(common.VizLegendOptions().show_legend(True).placement(kinds.LegendPlacement.BOTTOM))


def _table(panel: Panel) -> Picture:
    many = len(panel.queries) > 1
    columns = {f"Value #{_letter(at)}" if many else "Value": query.legend for at, query in enumerate(panel.queries)}
    left_out = dict.fromkeys(("Time", "__name__", "instance", "job", "file", "hours"), True)
    left_out.pop(panel.key, None)
    if not many and not panel.words:  # what there is, its labels say
        left_out["Value"] = True
    made = table.Panel().filterable(True).color_scheme(_by_thresholds())
    if panel.words:
        coloured = dashboard.DynamicConfigValue("custom.cellOptions", kinds.TableColoredBackgroundCellOptions())
        made.override_by_name(panel.queries[0].legend, [coloured])
    return made.transformations(
        [
            dashboard.DataTransformerConfig(id_val="merge", options={}),
            dashboard.DataTransformerConfig(
                id_val="organize", options={"excludeByName": left_out, "renameByName": columns, "indexByName": {}}
            ),
        ]
    )


def _heatmap(panel: Panel) -> Picture:
    colour = heatmap.HeatmapColorOptions().mode(heatmap_kinds.HeatmapColorMode.SCHEME).scheme("Oranges").steps(64)
    made = (
        heatmap.Panel().calculate(False).color(colour.scale(heatmap_kinds.HeatmapColorScale.EXPONENTIAL).exponent(0.5))
    )
    return made.y_axis(heatmap.YAxisConfig().unit(panel.unit)).show_color_scale(False).hide_legend()


_KINDS: dict[Kind, Callable[[Panel], Picture]] = {
    "lines": _lines,
    "stat": _stat,
    "names": _names,
    "gauge": _gauge,
    "bars": _bars,
    "states": _states,
    "table": _table,
    "heatmap": _heatmap,
}
