"""Is what is served what was trained on? The report in, verdict and reason out."""

from dataclasses import dataclass
from typing import Literal

from orchestration.features.skew.policy import DIFFERING_SHARE, FEWEST_ROWS, LATE_SHARE
from orchestration.features.skew.reasons import UNKNOWN
from orchestration.features.skew.report import FeatureSkew, SkewReport

NAMED = 5


@dataclass(frozen=True)
class SkewVerdict:
    """`defect`: it fails, and not for late data alone: what is computed or stored is wrong."""

    outcome: Literal["pass", "fail", "inconclusive"]
    reason: str
    defect: bool = False


def judge_skew(report: SkewReport) -> SkewVerdict:
    """Fail where a feature differs in more rows than DIFFERING_SHARE, or behind late data than LATE_SHARE.

    Few rows are inconclusive, unless they differ, and so are rows of which no feature can be compared: no day passes for
    want of data.
    """
    wrong = [f for f in report.differing if f.differing - f.late_rows > DIFFERING_SHARE * f.rows]
    behind = [f for f in report.differing if f.late_rows > LATE_SHARE * f.rows]
    if failed := wrong or behind:
        named = ", ".join(_named(f) for f in failed[:NAMED])
        more = f" and {len(failed) - NAMED} more" if len(failed) > NAMED else ""
        said = f"{len(failed)} of {len(report.features)} features differ: {named}{more}"
        return SkewVerdict("fail", said, defect=bool(wrong))
    if not report.logged:
        return SkewVerdict("inconclusive", f"no prediction was logged from {report.start} to {report.end}")
    if report.rows < FEWEST_ROWS:
        apart = ", ".join(f"{n} {name}" for name, n in report.apart.items() if n)
        return SkewVerdict(
            "inconclusive",
            f"{report.rows} rows can be compared, {FEWEST_ROWS} are needed" + (f"; apart: {apart}" if apart else ""),
        )
    compared = [f for f in report.features if f.rows]
    left_out = {*report.left_out, *(f.feature for f in report.features if not f.rows)}
    if not compared:
        reasons = "; ".join(dict.fromkeys(report.left_out.values()))
        return SkewVerdict("inconclusive", f"no feature of {report.rows} rows can be compared: {reasons}")
    some = f", {len(report.differing)} within their bounds" if report.differing else ""
    others = f"; {len(left_out)} are left out, wholly or in part" if left_out else ""
    return SkewVerdict("pass", f"{len(compared)} features of {report.rows} rows are as in training{some}{others}")


def _named(feature: FeatureSkew) -> str:
    cause = feature.reasons[0].name
    return f"{feature.feature} ({feature.share:.1%}, {'cause unknown' if cause == UNKNOWN else f'looks like {cause}'})"
