"""What waits for Slack, through writers that die and writers beside each other."""

import threading
from datetime import UTC, datetime
from pathlib import Path

from orchestration.notices.notice import Notice
from orchestration.notices.outbox import end, put, turn, waiting


def notice(title: str) -> Notice:
    return Notice(severity="SEV3", title=title, text="t", link="http://a", time=datetime(2026, 5, 1, tzinfo=UTC))


def test_the_same_notice_waits_as_often_as_it_was_put(tmp_path: Path) -> None:
    path = tmp_path / "follow_up" / "slack.jsonl"
    put(path, notice("a"))
    put(path, notice("a"))
    first, second = waiting(path)
    end(path, first)
    assert waiting(path) == [second]


def test_a_torn_line_costs_no_other(tmp_path: Path) -> None:
    path = tmp_path / "slack.jsonl"
    put(path, notice("a"))
    with path.open("ab") as file:
        file.write(b'{"kind":"waiting","id":"x","not')
    put(path, notice("b"))
    assert [one.notice.title for one in waiting(path)] == ["a", "b"]


def test_what_is_put_while_another_ends_is_not_cut_away(tmp_path: Path) -> None:
    path = tmp_path / "slack.jsonl"
    done: list[str] = []

    def work_off() -> None:
        while len(done) < 100:
            for one in waiting(path):
                end(path, one)
                done.append(one.notice.title)

    reader = threading.Thread(target=work_off)
    reader.start()
    for number in range(100):
        put(path, notice(str(number)))
    reader.join(60)
    assert done == [str(number) for number in range(100)]
    assert path.stat().st_size == 0


def test_the_turn_is_given_back(tmp_path: Path) -> None:
    path = tmp_path / "slack.jsonl"
    with turn(path) as ours, turn(path) as others:
        assert (ours, others) == (True, False)
    with turn(path) as ours:
        assert ours
