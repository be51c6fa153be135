"""The spool keeps what it took: through torn tails, other lives, full disks; and never blocks."""

import os
import tempfile
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving_gateway.contracts.prediction_log import encode_frame
from serving_gateway.log import spool as spool_module
from serving_gateway.log.segment import Segment
from serving_gateway.log.spool import Spool, SpoolInUseError

BOUND = 10_000


def payloads_of(spool: Spool) -> list[bytes]:
    return [p for segment in spool.segments for p in Segment(segment.path, segment.size).read(1 << 20)[0]]


def test_what_is_appended_is_on_disk_when_append_returns(tmp_path: Path) -> None:
    spool = Spool(tmp_path, "g", max_bytes=BOUND)
    assert spool.append([b"one", b"two"])
    assert spool.segments[0].path.read_bytes() == encode_frame(b"one") + encode_frame(b"two")
    assert spool.unlanded_bytes == spool.segments[0].path.stat().st_size
    spool.close()


@given(st.lists(st.binary(min_size=1, max_size=50), min_size=1, max_size=10), st.data())
def test_a_torn_tail_is_cut_and_the_rest_is_kept(payloads: list[bytes], data: st.DataObject) -> None:
    with tempfile.TemporaryDirectory() as folder:
        first = Spool(Path(folder), "g", max_bytes=BOUND)
        first.append(payloads)
        first.close()
        path = first.segments[0].path
        cut = data.draw(st.integers(0, path.stat().st_size))
        os.truncate(path, cut)
        second = Spool(Path(folder), "g", max_bytes=BOUND)
        kept = payloads_of(second)
        assert kept == payloads[: len(kept)]
        assert sum(len(encode_frame(p)) for p in kept) == second.unlanded_bytes
        assert second.unlanded_bytes <= cut
        assert second.append([b"next"])
        assert payloads_of(second) == [*kept, b"next"]
        second.close()


def test_damaged_content_is_cut_with_what_follows(tmp_path: Path) -> None:
    first = Spool(tmp_path, "g", max_bytes=BOUND)
    first.append([b"one", b"two", b"three"])
    first.close()
    path = first.segments[0].path
    content = bytearray(path.read_bytes())
    content[len(encode_frame(b"one")) + 9] ^= 1
    path.write_bytes(content)
    second = Spool(tmp_path, "g", max_bytes=BOUND)
    assert payloads_of(second) == [b"one"]
    second.close()


def test_a_live_neighbour_keeps_its_segments_a_dead_one_is_adopted(tmp_path: Path) -> None:
    neighbour = Spool(tmp_path, "n", max_bytes=BOUND)
    neighbour.append([b"theirs"])
    own = Spool(tmp_path, "g", max_bytes=BOUND)
    assert own.segments == []
    own.close()
    name = neighbour.segments[0].name
    neighbour.close()
    heir = Spool(tmp_path, "g", max_bytes=BOUND)
    assert payloads_of(heir) == [b"theirs"]
    assert [s.name for s in heir.segments] == [name]
    assert list((tmp_path / "n").glob("*.seg")) == []
    heir.close()


def test_who_dies_later_is_adopted_by_a_spool_that_is_open(tmp_path: Path) -> None:
    neighbour, own = (Spool(tmp_path, name, max_bytes=BOUND) for name in ("n", "g"))
    neighbour.append([b"theirs"])
    own.append([b"ours"])
    assert own.orphans() == []  # it lives
    neighbour.close()
    with neighbour.segments[0].path.open("ab") as torn:
        torn.write(b"half a fra")
    own.adopt(own.orphans())
    own.append([b"ours again"])
    assert payloads_of(own) == [b"theirs", b"ours", b"ours again"]
    assert len(own.segments) == 2  # the open one is the last, and grows on
    assert own.orphans() == []
    own.close()
    heir = Spool(tmp_path, "n", max_bytes=BOUND)  # the neighbour's successor finds nothing of its own
    assert sorted(payloads_of(heir)) == [b"ours", b"ours again", b"theirs"]
    heir.close()


def test_two_live_gateways_of_one_id_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spool_module, "PATIENCE_S", 0.1)
    spool = Spool(tmp_path, "g", max_bytes=BOUND)
    with pytest.raises(SpoolInUseError, match="GATEWAY_ID"):
        Spool(tmp_path, "g", max_bytes=BOUND)
    spool.close()
    Spool(tmp_path, "g", max_bytes=BOUND).close()


def test_segment_names_are_never_used_twice(tmp_path: Path) -> None:
    """A landed offset of a former life must not swallow the records of this one."""
    names = set()
    for _ in range(3):
        spool = Spool(tmp_path, "g", max_bytes=BOUND)
        spool.append([b"x"])
        names.add(spool.segments[-1].name)
        spool.close()
        spool.delete(spool.segments[-1])
    assert len(names) == 3


@given(st.lists(st.integers(1, 60), max_size=30))
def test_the_bound_holds_and_every_loss_is_counted(sizes: list[int]) -> None:
    dropped: list[int] = []
    with tempfile.TemporaryDirectory() as folder:
        spool = Spool(Path(folder), "g", max_bytes=300, on_drop=dropped.append)
        taken = [bytes([1]) * size for size in sizes if spool.append([bytes([1]) * size])]
        assert spool.unlanded_bytes <= 300
        assert payloads_of(spool) == taken
        assert len(taken) + sum(dropped) == len(sizes)
        spool.close()


def test_a_full_disk_is_a_counted_loss_and_leaves_no_torn_frame(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dropped: list[int] = []
    spool = Spool(tmp_path, "g", max_bytes=BOUND, on_drop=dropped.append)
    spool.append([b"before"])
    write = os.write
    with monkeypatch.context() as patched:
        patched.setattr(spool_module.os, "write", lambda file, data: write(file, data[:5]))
        assert not spool.append([b"lost", b"lost"])
    assert dropped == [2]
    assert spool.append([b"after"])
    assert payloads_of(spool) == [b"before", b"after"]
    assert spool.segments[0].path.stat().st_size == spool.unlanded_bytes
    spool.close()


def test_a_torn_frame_that_cannot_be_cut_off_is_the_last_of_its_segment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(file: int, size: int) -> None:
        raise OSError("the disk is gone")

    spool = Spool(tmp_path, "g", max_bytes=BOUND)
    spool.append([b"before"])
    write = os.write
    with monkeypatch.context() as patched:
        patched.setattr(spool_module.os, "write", lambda file, data: write(file, data[:5]))
        patched.setattr(spool_module.os, "ftruncate", refuse)
        assert not spool.append([b"lost"])
    assert spool.append([b"after"])
    assert payloads_of(spool) == [b"before", b"after"]
    spool.close()


def test_a_damaged_segment_is_cut_set_aside_and_counted(tmp_path: Path) -> None:
    damaged: list[int] = []
    spool = Spool(tmp_path, "g", max_bytes=BOUND, on_damage=lambda: damaged.append(1))
    spool.append([b"one", b"two", b"three"])
    segment = spool.segments[0]
    content = bytearray(segment.path.read_bytes())
    content[len(encode_frame(b"one")) + 9] ^= 1
    segment.path.write_bytes(content)
    payloads, segment.shipped = segment.read(1 << 20)
    assert (payloads, segment.read(1 << 20)[0]) == ([b"one"], [])
    spool.cut(segment)
    assert (damaged, segment.size, spool.is_open(segment)) == ([1], segment.shipped, False)
    assert segment.path.with_suffix(".damaged").read_bytes() == content
    assert spool.append([b"next"])
    assert payloads_of(spool) == [b"one", b"next"]
    spool.close()


def test_a_neighbour_that_looks_for_orphans_does_not_keep_a_gateway_from_starting(tmp_path: Path) -> None:
    (tmp_path / "g").mkdir()
    lock = spool_module._locked(tmp_path / "g")
    assert lock is not None
    held = threading.Timer(0.1, os.close, [lock])
    held.start()
    Spool(tmp_path, "g", max_bytes=BOUND).close()
    held.join()


def test_segments_roll_by_size_and_by_age(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spool_module, "SEGMENT_BYTES", 100)
    now = [0.0]
    spool = Spool(tmp_path, "g", max_bytes=BOUND, clock=lambda: now[0])
    for _ in range(4):
        spool.append([bytes([7]) * 50])
    assert [s.size for s in spool.segments] == [116, 116]
    assert not spool.is_open(spool.segments[0])
    spool.append([b"x"])
    assert spool.is_open(spool.segments[2])
    now[0] = spool_module.SEGMENT_S
    assert not spool.is_open(spool.segments[2])
    spool.append([b"y"])
    assert len(spool.segments) == 4
    spool.close()


def test_a_segment_is_read_in_pieces_whatever_the_limit(tmp_path: Path) -> None:
    spool = Spool(tmp_path, "g", max_bytes=BOUND)
    payloads = [bytes([n]) * (n + 1) * 30 for n in range(6)]
    spool.append(payloads)
    segment, read = spool.segments[0], []
    while segment.shipped < segment.size:
        found, segment.shipped = segment.read(70)
        assert found
        read += found
    assert read == payloads
    spool.close()


def test_orphans_that_cannot_be_looked_for_now_are_found_later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Out of descriptors, say: a gateway that has too many clients must not end by its housekeeping."""
    spool, left = Spool(tmp_path, "g", max_bytes=BOUND), Spool(tmp_path, "left", max_bytes=BOUND)
    left.append([b"one"])
    left.close()
    locked = spool_module._locked

    def refuse(*_: object, **__: object) -> None:
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(spool_module, "_locked", refuse)
    assert spool.orphans() == []
    monkeypatch.setattr(spool_module, "_locked", locked)
    spool.adopt(spool.orphans())
    assert payloads_of(spool) == [b"one"]
    spool.close()
