"""What is known of a model's health, as one document: for people, pages and gauges, and for the next look."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any

import msgspec

from orchestration.drift.folder import write_whole
from orchestration.health.label_free import Estimate, Figure, TrackRecord
from orchestration.health.past import Past, PastWindow
from orchestration.health.thresholds import HealthThresholds
from orchestration.health.verdict import HealthVerdict, WindowVerdict


class HealthRecordError(Exception):
    """A document of the model's health cannot be read; the message names it."""


@dataclass(frozen=True)
class JudgedWindow:
    """A window's verdict, the figures that it rests on (None: no labelled row) and how many predictions were made."""

    verdict: WindowVerdict
    figures: PastWindow | None
    predictions: int


@dataclass(frozen=True)
class DayHealth:
    """The labelled rows of one day."""

    day: date
    figures: PastWindow


@dataclass(frozen=True)
class HealthReport:
    """One look at the model `triton_model`, at the event time `as_of`.

    Before `watermark`, in event time, all labels are known; `late_labels` says what is wrong with that, if anything.
    `windows` and `days` in order of time. `estimates` are of the `estimated_rows` since the last whole window, with labels or
    without; `record` is how such estimates of whole windows did before.
    """

    triton_model: str
    as_of: datetime
    verdict: HealthVerdict
    watermark: datetime
    late_labels: str
    thresholds: HealthThresholds
    windows: Sequence[JudgedWindow]
    days: Sequence[DayHealth]
    estimated_rows: int
    estimates: Mapping[Figure, Estimate]
    record: Mapping[Figure, TrackRecord]


def past_file(lake: Path) -> Path:
    """Where the past windows lie that thresholds are fitted to."""
    return lake / "health" / "past.json"


def windows_file(lake: Path, triton_model: str) -> Path:
    """Where the judged windows of a model lie."""
    return lake / "health" / f"{triton_model}.json"


def read_past(lake: Path) -> Past | None:
    """The past windows, None where none have been fitted yet. Raises HealthRecordError."""
    found: Past | None = _read(past_file(lake), Past)
    return found


def read_windows(lake: Path, triton_model: str) -> list[JudgedWindow]:
    """The windows of a model that have been judged for good, in order of time. Raises HealthRecordError."""
    found: list[JudgedWindow] | None = _read(windows_file(lake, triton_model), list[JudgedWindow])
    return found or []


def read_report(reports: Path) -> HealthReport | None:
    """The newest report in the folder of reports, None where there is none. Raises HealthRecordError."""
    found: HealthReport | None = _read(reports / "health" / "latest.json", HealthReport)
    return found


def write_document(path: Path, document: object) -> Path:
    """Write `document` as JSON, replaced in one step; its folder is made if missing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    text = msgspec.json.format(msgspec.json.encode(document), indent=1)
    write_whole(path, lambda draft: draft.write_bytes(text))
    return path


def write_report(reports: Path, report: HealthReport) -> Path:
    """Write the report as `<Triton model>.json` and as `latest.json`; returns the path of the first."""
    path = write_document(reports / "health" / f"{report.triton_model}.json", report)
    write_document(path.with_name("latest.json"), report)
    return path


def _read(path: Path, kind: Any) -> Any:
    try:
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except FileNotFoundError:
        return None
    except (OSError, msgspec.MsgspecError) as error:
        raise HealthRecordError(f"{path} cannot be read: {error}; remove it to begin anew") from error
