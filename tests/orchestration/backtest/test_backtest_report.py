import json
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from orchestration.backtest.__main__ import main, write
from orchestration.backtest.course import Event, Rules
from orchestration.backtest.plan import Plan
from orchestration.backtest.report import BEGIN, END, PageError, section, summary, write_section
from orchestration.backtest.results import Results, Retrain, Week
from orchestration.backtest.textbook import RULES
from orchestration.backtest.twins import Caught
from orchestration.health.policy import shipped_health_policy
from orchestration.health.thresholds import HealthThresholds
from orchestration.rollout.policy import shipped_policy

AT = datetime(2013, 4, 15, 3, tzinfo=UTC)
MODEL, LATER = date(2013, 4, 15), date(2013, 5, 6)
HOUR = timedelta(hours=1)


def results(**changes: object) -> Results:
    rules = Rules(shipped_policy(), shipped_health_policy(), HealthThresholds(0.01, 0.01, windows=8, enough=True))
    weeks = [
        Week(day, 0.4 + 0.01 * i, 0.39 + 0.01 * i, 0.38 + 0.01 * i, frozenset(RULES[: i % 3]))
        for i, day in enumerate(Plan().mondays)
    ]
    events = [
        Event(AT, "warned", date(2013, 4, 1), "surprise"),
        Event(AT, "retrained", MODEL, "two bad windows"),
        Event(AT + HOUR, "on trial", MODEL, ""),
        Event(AT + 25 * HOUR, "step", MODEL, ""),
        Event(AT + 48 * HOUR, "promoted", MODEL, ""),
        Event(AT + 72 * HOUR, "settled", MODEL, ""),
        Event(AT + 504 * HOUR, "retrained", LATER, "two bad windows"),
        Event(AT + 505 * HOUR, "on trial", LATER, ""),
        Event(AT + 530 * HOUR, "rolled back", LATER, "worse"),
    ]
    retrains = [Retrain(AT, MODEL, AT + 48 * HOUR, 0.004), Retrain(AT + 504 * HOUR, LATER, None, None)]
    faults = {
        "frozen features": [Caught(AT, "freshness", 13 * HOUR, None, "freshness", 13 * HOUR)] * 3
        + [Caught(AT, "PSI of a feature", 30 * HOUR)] * 2,
        "stuck sensor": [Caught(AT, None, None)] * 4 + [Caught(AT, "PSI of a feature", HOUR)],
        "slow canary": [Caught(AT, "latency", 60 * HOUR, 200, "latency", 60 * HOUR)] * 5,
    }
    whole = {
        "plan": Plan(), "rules": rules, "events": events, "weeks": weeks, "log_loss": (0.425, 0.416, 0.415), "share": 0.9, "calendar": {2: 0.91},
        "retrains": retrains, "redrawn": [0, 1, 2, 0], "data_alarms": {"nulls": 2}, "watched_days": 272, "faults": faults,
    }  # fmt: skip
    return Results(**{**whole, **changes})  # type: ignore[arg-type]


def test_false_alarms_are_those_of_quiet_years_and_useless_retrains() -> None:
    assert results().useless_retrains == 1
    assert results().false_alarms_per_quarter == pytest.approx((0.75 + 1) / 3)
    assert results(retrains=[Retrain(AT, MODEL, AT, -0.001)], redrawn=[0]).false_alarms_per_quarter == pytest.approx(
        1 / 3
    )


def test_the_summary_says_what_is_asked_for_first() -> None:
    figures = summary(results())
    assert list(figures)[:3] == ["share_of_weekly_gain", "false_alarms_per_quarter", "faults"]
    assert figures["faults"] == [
        {"name": "frozen features", "caught_by": "freshness", "delay": 13.0},
        {"name": "stuck sensor", "caught_by": None, "delay": None},
        {"name": "slow canary", "caught_by": "latency", "delay": 60.0},
    ]


def test_the_section_tells_what_was_missed_and_not_caught() -> None:
    text = section(results(share=0.85))
    assert "| at least 90 % of weekly retraining's gain | 85.0% | **missed** |" in text
    assert "| with at most half of its retrains (19) | 2 | met |" in text
    assert "| freshness, PSI of a feature | 5 of 5 | 13 h | freshness, not caught | 3 of 5 | 13 h |  |" in text
    assert "not caught, PSI of a feature | 1 of 5 | - |" in text
    assert "| latency | 5 of 5 | 60 h | latency | 5 of 5 | 60 h | 200 |" in text
    assert "every 2 weeks, with a rollout as long as ours | 0.4159 | 91.0% | 19 |" in text
    assert (
        "| 15 Apr | 15 Apr 03:00 | 15 Apr 04:00 | 16 Apr 04:00 | 17 Apr 03:00 | 18 Apr 03:00 | settled | +0.0040 |"
        in text
    )
    assert "| rolled back | - |" in text


def test_only_what_stands_between_the_markers_is_replaced(tmp_path: Path) -> None:
    page = tmp_path / "evidence.md"
    page.write_text(f"# Before\n{BEGIN}\nold\n{END}\nafter\n")
    write_section(page, r"new \1")
    write_section(page, r"newer \1")
    assert page.read_text() == f"# Before\n{BEGIN}\nnewer \\1\n{END}\nafter\n"


@pytest.mark.parametrize("text", ["no markers", f"{BEGIN}", f"{END}\n{BEGIN}", f"{BEGIN}{END}{BEGIN}{END}"])
def test_a_page_without_a_place_is_refused_by_name(tmp_path: Path, text: str) -> None:
    page = tmp_path / "evidence.md"
    page.write_text(text)
    with pytest.raises(PageError, match=r"evidence\.md must hold"):
        write_section(page, "new")
    assert page.read_text() == text


def test_everything_is_written_and_the_same_again(tmp_path: Path) -> None:
    page = tmp_path / "evidence.md"
    page.write_text(f"{BEGIN}\n{END}\n")
    written = write(results(), tmp_path / "backtest", page)
    first = [path.read_bytes() for path in written]
    assert json.loads(first[0])["share_of_weekly_gain"] == 0.9
    assert {path.name for path in written} == {
        "summary.json",
        "evidence.md",
        "backtest-year.png",
        "backtest-faults.png",
    }
    assert [path.read_bytes() for path in write(results(), tmp_path / "backtest", page)] == first


def test_a_page_that_is_not_there_is_refused_before_anything_is_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PLATFORM_HOME", str(tmp_path))
    assert main(["--page", str(tmp_path / "none.md")]) == 2
    assert "none.md cannot be read" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_bad_policy_is_refused_by_its_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    page, policy = tmp_path / "evidence.md", tmp_path / "health.toml"
    page.write_text(f"{BEGIN}\n{END}\n")
    policy.write_text("[windows]\n")
    monkeypatch.setenv("PLATFORM_HOME", str(tmp_path))
    monkeypatch.setenv("HEALTH_POLICY_PATH", str(policy))
    assert main(["--page", str(page)]) == 2
    assert "health.toml" in capsys.readouterr().err


def test_an_unknown_option_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["--years", "3"])
    assert "--years" in capsys.readouterr().err
