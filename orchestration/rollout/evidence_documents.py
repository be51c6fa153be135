"""What a change of a trial rests on, as an immutable JSON document in the lake.

It is written before the change: a crash between the two leaves a document that no state names, never a state whose
evidence is missing.
"""

import hashlib
import math
import os
from pathlib import Path

import msgspec
from msgspec import Struct

from orchestration.rollout.decide import Decision, GoOn, Judged
from orchestration.rollout.policy import Policy

_DIGEST_CHARACTERS = 12


class EvidenceDocumentError(Exception):
    """There is no readable document of that name; the message names the file."""


class Found(Struct, frozen=True, kw_only=True):
    """What one test found. Figures that there are none of are null."""

    name: str
    outcome: str
    reason: str
    rows: int
    difference: float | None
    e_fail: float | None
    e_pass: float | None
    more_rows: int | None


class Decided(Struct, frozen=True, kw_only=True):
    """`kind` is the name of the decision; `step` is where it leads, None where to no step."""

    kind: str
    reason: str
    step: int | None = None


class EvidenceDocument(Struct, frozen=True, kw_only=True):
    """`state` is the state that was judged at `event_time`; `policy_digest` is of the policy's content (SHA-256)."""

    canary: str
    baseline: str
    trial: tuple[int, int]
    state: tuple[int, int]
    event_time: str
    outcome: str
    reason: str
    criteria: list[Found]
    decision: Decided
    policy_digest: str


def evidence_document(judged: Judged, decision: Decision, policy: Policy) -> EvidenceDocument:
    """The document of one decision."""
    step = decision.step if isinstance(decision, GoOn) else None
    return EvidenceDocument(
        canary=judged.trial.canary,
        baseline=judged.baseline,
        trial=judged.trial.since,
        state=judged.position,
        event_time=judged.event_time.isoformat(),
        outcome=judged.verdict.outcome,
        reason=judged.verdict.reason,
        criteria=[
            Found(
                name=one.name,
                outcome=one.outcome,
                reason=one.reason,
                rows=one.rows,
                difference=_finite(one.difference),
                e_fail=_finite(one.e_fail),
                e_pass=_finite(one.e_pass),
                more_rows=one.more_rows,
            )
            for one in judged.verdict.criteria
        ],
        decision=Decided(kind=type(decision).__name__, reason=decision.reason, step=step),
        policy_digest=hashlib.sha256(msgspec.json.encode(policy)).hexdigest(),
    )


def evidence_folder(lake: Path) -> Path:
    """Where the documents lie."""
    return lake / "rollout" / "evidence"


def keep(folder: Path, document: EvidenceDocument) -> str:
    """Write the document whole; returns its name, `<epoch>-<generation>-<digest>.json`. The same one again is the same file.

    Raises OSError.
    """
    content = msgspec.json.format(msgspec.json.encode(document), indent=2) + b"\n"
    digest = hashlib.sha256(content).hexdigest()[:_DIGEST_CHARACTERS]
    name = "{}-{}-{}.json".format(*document.state, digest)
    folder.mkdir(parents=True, exist_ok=True)
    draft = folder / f".{name}.{os.getpid()}"
    with draft.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(folder / name)
    return name


def read_document(folder: Path, name: str) -> EvidenceDocument:
    """The document of this name. Raises EvidenceDocumentError."""
    path = folder / name
    try:
        return msgspec.json.decode(path.read_bytes(), type=EvidenceDocument)
    except (OSError, UnicodeDecodeError, msgspec.MsgspecError) as error:
        raise EvidenceDocumentError(f"evidence document {path}: {error}") from error


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
