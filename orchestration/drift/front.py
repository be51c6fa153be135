"""What a drift report opens with: what moved, since when, does it hurt the model, what was decided; then pictures.

It is put in front of Evidently's page, so every rule of its style names its own element, and nothing is loaded.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape
from pathlib import Path

from orchestration.drift.figures import DriftFigures, Said, since
from orchestration.drift.pictures import history, psi_bars
from orchestration.drift.policy import SAMPLE_ROWS

TOP = 5
PICTURED = 12
LINES = 4
_STYLE = Path(__file__).with_name("front.css")
_HEADLINES = {
    "pass": "Inputs are as usual",
    "fail": "Inputs have drifted",
    "inconclusive": "It cannot be told whether inputs have drifted",
}
_CHECKS = {"nulls": "Nulls", "ranges": "Values", "freshness": "Freshness"}


@dataclass(frozen=True)
class Context:
    """What the figures alone do not say.

    `past`: earlier reports on windows of the same length, the last first. `health`: the last verdict on the model's health;
    None without labels. `decided`: sentences on the rollout and on retraining.
    """

    past: list[DriftFigures] = field(default_factory=list)
    health: Said | None = None
    decided: tuple[str, ...] = ()


def front(figures: DriftFigures, context: Context) -> str:
    """The HTML of the first screen and the pictures, self-contained."""
    alarms = [name for name in _CHECKS if name in figures.checks and figures.checks[name].outcome == "fail"]
    cards = (
        _card("What moved", _moved(figures)),
        _card("Since when", _since(figures, context.past)),
        _card("Does it hurt the model?", [_health(context.health)]),
        _card("What was decided", [*context.decided, "Drift alone rolls nothing back: every arm was asked the same."]),
    )
    return (
        f'<title>Drift, {escape(figures.name)}</title><style>{_STYLE.read_text()}</style><div id="answer">'
        f'<header class="{"fail" if alarms else figures.verdict.outcome}">'
        f"<h1>{_headline(figures, alarms)}</h1><p>{_compared(figures)}</p></header>"
        f'<div class="cards">{"".join(cards)}</div>{_pictures(figures, context.past)}{_note(figures)}</div>'
    )


def _headline(figures: DriftFigures, alarms: Sequence[str]) -> str:
    said = _HEADLINES[figures.verdict.outcome]
    if figures.verdict.outcome == "inconclusive":
        said += f": {escape(figures.verdict.reason)}"
    else:
        said += f": {len(figures.drifted)} of {len(figures.psi.value)} features have moved"
    return said + (f". Data alarm: {', '.join(_CHECKS[name].lower() for name in alarms)}" if alarms else "")


def _compared(figures: DriftFigures) -> str:
    return escape(
        f"{figures.current}, {figures.rows:,} rows, against {figures.reference}, {figures.reference_rows:,} rows"
    )


def _moved(figures: DriftFigures) -> list[str]:
    psi = figures.psi
    shown = [f"{name}: PSI {psi.value[name]:.2f}, drifted from {psi.limit[name]:.2f}" for name in figures.drifted[:TOP]]
    if (more := len(figures.drifted) - TOP) > 0:
        shown.append(f"and {more} more features")
    if not shown:
        nearest = psi.worst_first[0]
        shown = [f"No feature. Nearest: {nearest}, PSI {psi.value[nearest]:.2f} of {psi.limit[nearest]:.2f}"]
    if figures.without_values:
        shown.append(f"Without values: {', '.join(figures.without_values)}")
    checked = [f"{label}: {figures.checks[name].reason}" for name, label in _CHECKS.items() if name in figures.checks]
    return shown + checked


def _since(figures: DriftFigures, past: list[DriftFigures]) -> list[str]:
    if not figures.end:
        return ["Two files were compared: a report on the prediction log knows its earlier ones"]
    if not figures.drifted:
        return [f"Nothing has drifted; earlier reports on windows as long: {len(past)}"]
    began = since(figures, past)
    by_time: dict[str, list[str]] = {}
    for name in figures.drifted[:TOP]:
        by_time.setdefault(began[name], []).append(name)
    last = past[-1].end if past else figures.end
    told = [f"{', '.join(names)}: {_since_report(at, figures, oldest=last)}" for at, names in sorted(by_time.items())]
    return told if past else [*told, "This is the first report on a window as long"]


def _since_report(at: str, figures: DriftFigures, *, oldest: str) -> str:
    if at == figures.end:
        return "new in this report"
    return f"since the report of {_instant(at)}" + (", the oldest there is" if at == oldest else "")


def _health(said: Said | None) -> str:
    if said is None:
        return "No labels yet: what became of these requests is not known, or the model's health was not judged"
    return f"{said.outcome}: {said.reason}"


def _card(title: str, lines: Sequence[str]) -> str:
    return f"<section><h2>{title}</h2>{''.join(f'<p>{escape(line)}</p>' for line in lines)}</section>"


def _pictures(figures: DriftFigures, past: list[DriftFigures]) -> str:
    names = figures.psi.worst_first
    drawn = f"<figure><figcaption>PSI by feature; the mark is where drift begins</figcaption>{psi_bars(figures, names[:PICTURED])}</figure>"
    if past:
        lines = history([*reversed(past), figures], names[:LINES])
        drawn += (
            f"<figure><figcaption>The same by report, as multiples of where drift begins</figcaption>{lines}</figure>"
        )
    return f'<div class="pictures">{drawn}</div>'


def _note(figures: DriftFigures) -> str:
    sampled = max(figures.rows, figures.reference_rows) > SAMPLE_ROWS
    of = (
        f"on a sample of {SAMPLE_ROWS:,} rows a window; the figures above are of all rows" if sampled else "on all rows"
    )
    return f"<p>Below: Evidently's own page, {of}.</p>"


def _instant(text: str) -> str:
    return text[:16].replace("T", " ")
