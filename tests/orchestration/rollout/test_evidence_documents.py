"""Evidence is written whole, once, under a name that tells where it belongs; and read back or refused."""

import math
from pathlib import Path

import msgspec
import pytest

from orchestration.rollout.decide import GoOn, Judged, RollBack
from orchestration.rollout.evidence_documents import EvidenceDocumentError, evidence_document, keep, read_document
from orchestration.rollout.policy import shipped_policy
from orchestration.rollout.verdict import CriterionResult, Verdict
from tests.orchestration.rollout.trials import BEGAN, PASSED, SHADOW, judged

POLICY = shipped_policy()
ON = GoOn("on to step 1", 1)


def test_it_tells_what_was_judged_decided_and_by_which_policy(tmp_path: Path) -> None:
    name = keep(tmp_path, evidence_document(judged(SHADOW, PASSED, BEGAN), ON, POLICY))
    assert name.startswith("1-2-")
    found = read_document(tmp_path, name)
    assert (found.canary, found.baseline, found.trial, found.state) == ("m_v2", "m_v1", (1, 2), (1, 2))
    assert (found.outcome, found.event_time) == ("pass", "2013-05-01T12:00:00+00:00")
    assert (found.decision.kind, found.decision.step) == ("GoOn", 1)
    assert [one.name for one in found.criteria] == [one.name for one in PASSED.criteria]
    other = msgspec.structs.replace(POLICY, rollout=msgspec.structs.replace(POLICY.rollout, longest_hours=1))
    assert evidence_document(judged(SHADOW, PASSED, BEGAN), ON, other).policy_digest != found.policy_digest


def test_the_same_again_is_the_same_file_and_other_evidence_another(tmp_path: Path) -> None:
    document = evidence_document(judged(SHADOW, PASSED, BEGAN), ON, POLICY)
    first = keep(tmp_path, document)
    before = (tmp_path / first).read_bytes()
    assert keep(tmp_path, document) == first
    second = keep(tmp_path, evidence_document(judged(SHADOW, PASSED, BEGAN), RollBack("worse"), POLICY))
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([first, second]), "no draft is left"
    assert (tmp_path / first).read_bytes() == before


def test_a_figure_that_there_is_none_of_is_null(tmp_path: Path) -> None:
    nothing = Verdict("fail", "bad", (CriterionResult("loss", "fail", "no row", 0, math.nan, math.inf),))
    found = read_document(
        tmp_path, keep(tmp_path, evidence_document(on(judged(SHADOW, PASSED, BEGAN), nothing), RollBack("bad"), POLICY))
    )
    assert (found.criteria[0].difference, found.criteria[0].e_fail, found.criteria[0].e_pass) == (None, None, 1.0)


def on(found: Judged, verdict: Verdict) -> Judged:
    return Judged(found.trial, found.position, found.baseline, found.event_time, verdict)


@pytest.mark.parametrize("content", [None, b"", b"{}", b"\xff"])
def test_what_is_no_document_is_named(content: bytes | None, tmp_path: Path) -> None:
    if content is not None:
        (tmp_path / "1-2-x.json").write_bytes(content)
    with pytest.raises(EvidenceDocumentError, match=r"evidence document .*1-2-x\.json"):
        read_document(tmp_path, "1-2-x.json")


def test_a_folder_that_refuses_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="file"):
        keep(tmp_path / "file", evidence_document(judged(SHADOW, PASSED, BEGAN), ON, POLICY))
