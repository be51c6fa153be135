"""The document as text: the platform's parts, and a person's words between them."""

from datetime import datetime
from pathlib import Path
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestration.incidents.document import (
    PARTS,
    Part,
    TemplateError,
    body_of,
    mark_of,
    new_document,
    plain,
    read_template,
    timeline,
    with_parts,
)
from orchestration.incidents.sources import row
from tests.orchestration.incidents.happenings import NOW

TEMPLATE = read_template()
MARKS = [f"<!-- platform: {end}{part} -->" for part in PARTS for end in ("", "end ")]
# What people and machines may write: marks, broken marks, ends of lines of any kind, any letter.
words = st.lists(
    st.one_of(st.text(max_size=20), st.sampled_from(["<!-- platform:", "-->", "\r\n", "\n\n", "| ", "TITLE"])),
    max_size=4,
).map("".join)
updates = st.dictionaries(st.sampled_from(PARTS), words.map(plain), max_size=4)


def persons(text: str) -> list[str]:
    """What stands outside the parts, in order."""
    kept, rest = [], text
    for begin, end in zip(MARKS[::2], MARKS[1::2], strict=True):
        before, _, rest = rest.partition(begin)
        kept.append(before)
        rest = rest.partition(end)[2]
    return [*kept, rest]


def whole(outside: list[str], text: str) -> str:
    """The document with these words outside of its parts."""
    bodies = [
        text.split(begin)[1].split(end, maxsplit=1)[0] for begin, end in zip(MARKS[::2], MARKS[1::2], strict=True)
    ]
    found = outside[0]
    for begin, body, end, after in zip(MARKS[::2], bodies, MARKS[1::2], outside[1:], strict=True):
        found += begin + body + end + after
    return found


@given(st.lists(st.tuples(st.lists(words, min_size=5, max_size=5), updates), min_size=1, max_size=5))
def test_what_a_person_wrote_survives_every_sequence_of_updates(
    course: list[tuple[list[str], dict[Part, str]]],
) -> None:
    text = new_document(TEMPLATE, "rollback-1-7", "It rains")
    for added, parts in course:
        # somebody adds words anywhere outside of the parts, and removes some that stand there
        outside = [kept[: len(kept) // 2] + word for kept, word in zip(persons(text), added, strict=True)]
        text = whole(outside, text)
        text = with_parts(text, parts)
        assert persons(text) == outside
        assert {part: body_of(text, part) for part in parts} == {part: body.strip() for part, body in parts.items()}


@given(st.lists(st.sampled_from([*MARKS, "words", "\n"]), max_size=8), updates)
def test_a_part_without_its_marks_is_a_persons(pieces: list[str], parts: dict[Part, str]) -> None:
    """Marks that were removed, doubled, nested or turned round: nothing but what is between a whole pair is touched."""
    text = "".join(pieces)
    whole_pairs = {part: str(body_of(text, part)) for part in parts if body_of(text, part) is not None}
    changed = with_parts(text, parts)
    assert [piece for piece in MARKS if changed.count(piece) != text.count(piece)] == []
    taken_back = with_parts(changed, whole_pairs)
    assert "".join(taken_back.split()) == "".join(text.split())
    if not whole_pairs:
        assert changed == text


def test_bytes_of_any_encoding_survive() -> None:
    text = new_document(TEMPLATE, "x", "t") + b"caf\xe9 \xff\r\n".decode("utf-8", "surrogateescape")
    after = with_parts(text, {"header": "new"}).encode("utf-8", "surrogateescape")
    assert after.endswith(b"caf\xe9 \xff\r\n")


@given(st.lists(st.tuples(st.datetimes(min_value=NOW.replace(tzinfo=None)), words), max_size=8))
def test_a_timeline_keeps_every_row_once_in_order(events: list[tuple[datetime, str]]) -> None:
    rows = [row(at.replace(tzinfo=NOW.tzinfo), what) for at, what in events]
    text = timeline("", [])
    for one in [*rows, *reversed(rows)]:  # in any order, each again and again
        text = timeline(text, [one])
    lines = text.split("\n")
    assert lines[2:] == sorted(set(rows))
    assert timeline(text, []) == text, "what a source has forgotten stays"


def test_a_timeline_that_an_editor_gave_other_ends_of_lines_is_read() -> None:
    one = row(NOW, "first")
    assert timeline(timeline("", [one]).replace("\n", "\r\n"), [one]).split("\n")[2:] == [one]


@given(st.text())
def test_machine_text_is_no_mark_and_stays_in_its_cell(text: str) -> None:
    said = plain(text)
    assert "<" not in said
    assert len(said.splitlines()) <= 1
    assert said.replace("\\|", "").count("|") == 0
    said.encode()


def test_the_template_is_the_document() -> None:
    text = new_document(TEMPLATE, "rollback-1-7", "It <rains>")
    assert mark_of("rollback-1-7") in text
    assert "# Incident: It &lt;rains&gt;\n" in text
    assert set(get_args(Part)) == set(PARTS)
    for place in ("## What users saw", "## Why", "## Follow-up"):
        assert place in text


@pytest.mark.parametrize(
    ("take", "give"),
    [
        ("<!-- platform: end timeline -->", ""),
        ("<!-- incident: ID -->", ""),
        ("# Incident: TITLE\n", "# Incident\n"),
        ("<!-- platform: header -->", "<!-- platform: header --><!-- platform: header -->"),
    ],
)
def test_a_template_that_lacks_something_is_refused_by_its_path(tmp_path: Path, take: str, give: str) -> None:
    path = tmp_path / "TEMPLATE.md"
    path.write_text(TEMPLATE.replace(take, give))
    with pytest.raises(TemplateError, match=str(path)):
        read_template(path)
    with pytest.raises(TemplateError, match="absent"):
        read_template(tmp_path / "absent.md")
