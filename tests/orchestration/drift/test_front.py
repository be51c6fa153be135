"""What a report opens with."""

import re
from html import unescape

import msgspec
import pytest

from orchestration.drift.figures import DriftFigures, Levels, Said
from orchestration.drift.front import Context, front
from orchestration.drift.policy import SAMPLE_ROWS

NAMES = [f"f{i}" for i in range(20)]


def report(end: str = "2013-05-05T23:00:00+00:00", *drifted: str, **fields: object) -> DriftFigures:
    psi = {name: 0.9 if name in drifted else 0.1 for name in NAMES}
    known: dict[str, object] = {
        "name": end[:10], "reference": "the training window of m_v1", "current": "Requests of a day", "rows": 900,
        "reference_rows": 8000, "verdict": Said(outcome="fail", reason="14 of 26 <features> drifted"), "share": 0.5,
        "psi": Levels(value=psi, limit=dict.fromkeys(NAMES, 0.2)), "drifted": list(drifted), "end": end, "hours": 24.0,
        "checks": {name: Said(outcome="pass", reason="as usual") for name in ("nulls", "ranges", "freshness")},
    }  # fmt: skip
    return DriftFigures(**known | fields)  # type: ignore[arg-type]


def cards(page: str) -> dict[str, list[str]]:
    found = re.findall(r"<section><h2>(.*?)</h2>(.*?)</section>", page)
    return {title: [unescape(line) for line in re.findall(r"<p>(.*?)</p>", body)] for title, body in found}


def test_it_says_what_moved_the_farthest_first_and_counts_the_rest() -> None:
    moved = cards(front(report("2013-05-05", *NAMES[:7]), Context()))["What moved"]
    assert moved[0] == "f0: PSI 0.90, drifted from 0.20"
    assert moved[5] == "and 2 more features"
    assert moved[6:] == ["Nulls: as usual", "Values: as usual", "Freshness: as usual"]


def test_where_nothing_moved_the_nearest_is_named() -> None:
    moved = cards(front(report(without_values=["f19"]), Context()))["What moved"]
    assert moved[:2] == ["No feature. Nearest: f0, PSI 0.10 of 0.20", "Without values: f19"]


def test_it_says_since_when() -> None:
    past = [report("2013-05-04T23:00:00+00:00", "f0"), report("2013-05-03T23:00:00+00:00")]
    told = cards(front(report("2013-05-05T23:00:00+00:00", "f0", "f1"), Context(past)))["Since when"]
    assert told == ["f0: since the report of 2013-05-04 23:00", "f1: new in this report"]
    oldest = cards(front(report("2013-05-05T23:00:00+00:00", "f0"), Context(past[:1])))["Since when"]
    assert oldest == ["f0: since the report of 2013-05-04 23:00, the oldest there is"]
    first = cards(front(report("2013-05-05T23:00:00+00:00", "f0"), Context()))["Since when"]
    assert first == ["f0: new in this report", "This is the first report on a window as long"]


@pytest.mark.parametrize(
    ("health", "told"),
    [
        (None, "No labels yet: what became of these requests is not known, or the model's health was not judged"),
        (
            Said(outcome="bad", reason="log-loss 0.61, up to 0.45 was expected"),
            "bad: log-loss 0.61, up to 0.45 was expected",
        ),
    ],
)
def test_it_says_whether_it_hurts_and_what_was_decided(health: Said | None, told: str) -> None:
    found = cards(front(report(), Context(health=health, decided=("m_v1 is the baseline",))))
    assert found["Does it hurt the model?"] == [told]
    assert found["What was decided"][0] == "m_v1 is the baseline"
    assert "rolls nothing back" in found["What was decided"][1]


def test_a_data_alarm_stands_in_the_headline() -> None:
    checks = {**report().checks, "nulls": Said(outcome="fail", reason="f3 is null in 80.0% of the rows")}
    page = front(report(verdict=Said(outcome="pass", reason="1 of 20 features drifted"), checks=checks), Context())
    assert "<h1>Inputs are as usual: 0 of 20 features have moved. Data alarm: nulls</h1>" in page
    assert '<header class="fail">' in page
    assert "Nulls: f3 is null in 80.0% of the rows" in cards(page)["What moved"]


def test_what_others_wrote_stays_text_and_nothing_is_loaded() -> None:
    said = Said(outcome="bad", reason='<script src="http://x/y.js">')
    odd = report("2013-05-05", "f0", verdict=Said(outcome="inconclusive", reason="14 of 26 <features> drifted"))
    page = front(odd, Context([report("2013-05-04")], said, ("<b>",)))
    assert "14 of 26 &lt;features&gt; drifted" in page
    assert not re.search(r'<script|<b>|<link|(src|href)="|@import|url\(', page)


def test_pictures_are_drawn_of_the_farthest_and_of_earlier_reports() -> None:
    past = [report(f"2013-05-0{day}T23:00:00+00:00", "f0") for day in (4, 3, 2)]
    page = front(report("2013-05-05T23:00:00+00:00", "f0"), Context(past))
    bars, lines = re.findall(r"<svg.*?</svg>", page)
    assert bars.count("<rect") == 12
    assert bars.count("var(--bad)") == 1
    assert lines.count("<polyline") == 4
    (first, *_) = re.findall(r'points="([^"]+)"', lines)
    assert len(first.split()) == 4
    assert len(re.findall(r"<svg", front(report(), Context()))) == 1


def test_it_says_what_evidentlys_page_is_drawn_of() -> None:
    assert "Evidently's own page, on all rows" in unescape(front(report(), Context()))
    many = msgspec.structs.replace(report(), rows=SAMPLE_ROWS + 1)
    assert "on a sample of 20,000 rows a window" in front(many, Context())


def test_two_files_have_no_since() -> None:
    found = cards(front(report("", "f0", hours=0.0, checks={}), Context()))
    assert found["Since when"][0].startswith("Two files were compared")
    assert len(found["What moved"]) == 1
