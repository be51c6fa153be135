"""The committed dashboards are those of the code, and every panel of them can be read, understood and followed."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from observability.grafana.__main__ import PAGE, main
from observability.grafana.model import RUNBOOK
from observability.grafana.objectives import availability, latency
from tests.docs.markdown import anchors
from tests.observability.exposed import TRITON, exposed
from tests.observability.promql import FOLDER, boards, filled, metric_names, panels, queries
from tests.servers import ROOT

BOARDS = boards()
QUERIES = queries()
PANELS = [(uid, panel) for uid, board in BOARDS.items() for panel in panels(board)]
RULES = ROOT / "observability" / "prometheus" / "rules" / "slo.yml"


def test_the_committed_files_are_what_the_boards_make(tmp_path: Path) -> None:
    assert main(["--folder", str(tmp_path / "made"), "--page", str(tmp_path / "page.md")]) == 0
    made = {path.name: path.read_text() for path in (tmp_path / "made").iterdir()}
    assert made == {path.name: path.read_text() for path in FOLDER.iterdir()}, "run python -m observability.grafana"
    assert (tmp_path / "page.md").read_text() == PAGE.read_text(), "run python -m observability.grafana"


def test_there_are_the_four() -> None:
    assert [board["title"] for board in BOARDS.values()] == ["Drift and data", "Inference SLO", "Platform", "Rollout"]
    assert all(board["uid"] == uid for uid, board in BOARDS.items())


@pytest.mark.parametrize(
    ("expr", "named"),
    [
        ('sum by (le, a) (rate(x_bucket{le!="b_c"}[5m])) / on (d) group_left (e) y:z', {"x_bucket", "y:z"}),
        ("1 - (max(f_g offset 1m) or vector(0)) and h > 2e6", {"f_g", "h"}),
        ('label_replace(vector(0), "kind", "none", "", "") unless i_total', {"i_total"}),
    ],
)  # fmt: skip
def test_the_names_in_an_expression_are_found(expr: str, named: set[str]) -> None:
    assert metric_names(expr) == named


@pytest.mark.parametrize("query", QUERIES, ids=str)
def test_every_metric_of_a_query_exists(query: object) -> None:
    read = metric_names(filled(query.expr))  # type: ignore[attr-defined]
    assert read
    assert read <= exposed()


def test_no_metric_of_tritons_is_listed_in_vain() -> None:
    assert set().union(*(metric_names(query.expr) for query in QUERIES)) >= TRITON


@pytest.mark.skipif(shutil.which("promtool") is None, reason="no promtool: as root, apt-get install prometheus")
def test_prometheus_can_parse_every_query(tmp_path: Path) -> None:
    rules = [{"record": f"query:{at}", "expr": filled(query.expr)} for at, query in enumerate(QUERIES)]
    path = tmp_path / "queries.yml"
    path.write_text(yaml.safe_dump({"groups": [{"name": "queries", "rules": rules}]}))
    done = subprocess.run(["promtool", "check", "rules", path], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert f"{len(QUERIES)} rules found" in done.stdout
    rules[0]["expr"] = "sum(("
    path.write_text(yaml.safe_dump({"groups": [{"name": "queries", "rules": rules}]}))
    assert subprocess.run(["promtool", "check", "rules", path], capture_output=True, check=False).returncode != 0


@pytest.mark.parametrize(("uid", "panel"), PANELS, ids=[f"{uid}-{panel['title']}" for uid, panel in PANELS])
def test_a_panel_says_what_is_well_and_what_to_do(uid: str, panel: dict[str, object]) -> None:
    said = str(panel["description"])
    assert "**Well:** " in said
    assert "**Not well:** " in said
    (link,) = panel["links"]  # type: ignore[misc]
    address, _, anchor = link["url"].partition("#")
    assert address == "${runbook}"
    assert anchor in anchors(ROOT / RUNBOOK)
    assert panel["datasource"] == {"type": "prometheus", "uid": "drift-prometheus"}
    assert panel["fieldConfig"]["defaults"]["unit"]  # type: ignore[index]
    assert all(target["legendFormat"] for target in panel["targets"])  # type: ignore[attr-defined]


@pytest.mark.parametrize("uid", BOARDS)
def test_panels_fill_their_lines_and_have_numbers_of_their_own(uid: str) -> None:
    places = [(p["gridPos"]["x"], p["gridPos"]["y"], p["gridPos"]["w"], p["gridPos"]["h"]) for p in panels(BOARDS[uid])]
    covered: set[tuple[int, int]] = set()
    for x, y, w, h in places:
        cells = {(column, line) for column in range(x, x + w) for line in range(y, y + h)}
        assert x + w <= 24
        assert not cells & covered, f"panels overlap at {x}, {y}"
        covered |= cells
    assert all(sum(w for _, y, w, _ in places if y == line) == 24 for line in {y for _, y, _, _ in places})
    numbers = [panel["id"] for panel in BOARDS[uid]["panels"]]
    assert len(set(numbers)) == len(numbers)


@pytest.mark.parametrize("uid", BOARDS)
def test_titles_are_unique_within_a_row(uid: str) -> None:
    row, seen = "", set()
    for panel in BOARDS[uid]["panels"]:
        row = panel["title"] if panel["type"] == "row" else row
        assert (row, panel["title"]) not in seen
        seen.add((row, panel["title"]))


def test_grafana_is_given_the_source_and_the_files_that_the_dashboards_name() -> None:
    provisioning = ROOT / "observability" / "grafana" / "provisioning"
    (source,) = yaml.safe_load((provisioning / "datasources" / "prometheus.yml").read_text())["datasources"]
    assert {panel["datasource"]["uid"] for _, panel in PANELS} == {source["uid"]}
    (provider,) = yaml.safe_load((provisioning / "dashboards" / "dashboards.yml").read_text())["providers"]
    assert provider["options"]["path"] in PAGE.read_text()
    assert source["url"] in PAGE.read_text()


def test_the_objectives_are_those_of_the_alerts() -> None:
    groups = yaml.safe_load(RULES.read_text())["groups"]
    rules = {rule["record"]: str(rule["expr"]) for group in groups for rule in group["rules"] if "record" in rule}
    for name, objective in (("availability", availability), ("latency", latency)):
        assert rules[f"slo:{name}:objective"] == f"vector({objective.share:g})"
        for window in ("5m", "1h"):
            rule = re.sub(r"\s+", "", rules[f"slo:{name}:error_ratio_rate{window}"])
            assert rule == re.sub(r"\s+", "", objective.ratio(window))
