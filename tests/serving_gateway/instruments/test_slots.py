"""Slots and their directory: what a killed writer leaves, a reader sees whole and a successor goes on with."""

import os
import signal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serving_gateway.instruments.exposition import exposition
from serving_gateway.instruments.kinds import Instruments
from serving_gateway.instruments.slots import SIZE, SLOTS, Family, SlotFile, SlotsFullError, anonymous_file


def test_a_killed_writer_leaves_every_increment() -> None:
    file = anonymous_file("t")
    child = os.fork()
    if not child:
        counter = Instruments(SlotFile(file)).counter("n", "doc")
        for _ in range(1000):
            counter.inc()
        os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(child, 0)
    assert b"n_total 1000.0\n" in exposition([SlotFile(file)])


Step = tuple[str, str, int]
STEPS = st.lists(st.tuples(st.sampled_from("xyz"), st.sampled_from(["a", "b", "ab", ""]), st.integers(0, 9)))


@settings(deadline=None)
@given(lives=st.lists(STEPS, max_size=4))
def test_lives_of_one_file_add_up(lives: list[list[Step]]) -> None:
    file = anonymous_file("t")
    reader = SlotFile(file)
    expected: dict[tuple[str, str], int] = {}
    for steps in lives:
        writer = Instruments(SlotFile(file))
        for name, label, times in steps:
            writer.counters(name, "doc", ["l"])(label).inc(times)
            expected[name, label] = expected.get((name, label), 0) + times
    lines = [line for line in exposition([reader]).decode().splitlines() if line and not line.startswith("#")]
    assert sorted(lines) == sorted(f'{name}_total{{l="{label}"}} {float(n)}' for (name, label), n in expected.items())
    os.close(file)


@settings(deadline=None)
@given(st.lists(st.tuples(st.floats(0, 4), st.integers(1, 5)), max_size=30))
def test_buckets_hold_what_is_not_above_their_bound(seen: list[tuple[float, int]]) -> None:
    file = SlotFile()
    histogram = Instruments(file).histograms("h", "doc", [], bounds=(1, 2), unit=10**9)()
    for value, times in seen:
        histogram.observe(*[value] * times)
    shown = dict(line.split(" ") for line in exposition([file]).decode().splitlines() if not line.startswith("#"))
    for bound in (1.0, 2.0):
        assert float(shown[f'h_bucket{{le="{bound}"}}']) == sum(times for value, times in seen if value <= bound)
    assert shown['h_bucket{le="+Inf"}'] == shown["h_count"] == str(float(sum(times for _, times in seen)))
    assert float(shown["h_sum"]) == pytest.approx(sum(value * times for value, times in seen), abs=1e-6)


def test_an_entry_counts_once_its_length_stands() -> None:
    """A writer killed between the two leaves bytes that nobody reads, and the next one writes over them."""
    file = anonymous_file("t")
    writer, reader = SlotFile(file), SlotFile(file)
    writer._directory[:9] = b"{half an "
    reader.refresh()
    assert reader.families == []
    SlotFile(file).family(Family("n", "counter", "doc"))
    reader.refresh()
    assert [family.name for family in reader.families] == ["n"]


def test_where_code_defines_a_metric_anew_the_answering_workers_definition_holds() -> None:
    """A rolling restart may bring other buckets: one metric must not be shown twice."""
    old, new = SlotFile(), SlotFile()
    Instruments(old).histograms("h", "doc", [], bounds=(1,), unit=1)().observe(3)
    Instruments(new).histograms("h", "doc", [], bounds=(1, 2), unit=1)().observe(3)
    text = exposition([new, old]).decode()
    assert text.count("# TYPE h ") == 1
    assert "h_count 1.0\n" in text
    assert 'h_bucket{le="2.0"} 0.0\n' in text


def test_a_full_file_says_which_series_had_no_room() -> None:
    file = SlotFile()
    file.used = SLOTS
    with pytest.raises(SlotsFullError, match=r"n .*x"):
        Instruments(file).counters("n", "doc", ["l"])("x")


def test_a_file_takes_no_memory_until_it_is_used() -> None:
    file = anonymous_file("t")
    assert os.fstat(file).st_size == SIZE
    assert os.fstat(file).st_blocks * 512 < 65_536
