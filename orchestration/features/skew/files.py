"""The report as a JSON file, beside the other reports."""

from pathlib import Path
from typing import Any

import msgspec

from orchestration.drift.folder import write_whole
from orchestration.features.skew.report import SkewReport
from orchestration.features.skew.verdict import SkewVerdict


def write_report(folder: Path, report: SkewReport, verdict: SkewVerdict) -> Path:
    """Write `<day>.json` into `folder` (made if missing), replaced in one step; returns its path."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{report.day}.json"
    document: dict[str, Any] = {"verdict": verdict, "report": report}
    text = msgspec.json.format(msgspec.json.encode(document), indent=1)
    write_whole(path, lambda draft: draft.write_bytes(text))
    return path
