"""The pictures of a drift report as inline SVG, coloured by the page's own variables, so that they follow its theme."""

from collections.abc import Sequence
from html import escape

from orchestration.drift.figures import DriftFigures

_WIDTH, _ROW, _NAMES, _RIGHT = 520, 20, 180, 52
_HEIGHT, _LEFT, _TOP = 240, 34, 12
_HIGHEST = 8.0


def psi_bars(figures: DriftFigures, names: Sequence[str]) -> str:
    """A bar a feature, PSI over its threshold, cut at eight times; the mark is the threshold, a drifted bar is red."""
    drifted = set(figures.drifted)
    room = _WIDTH - _NAMES - _RIGHT
    highest = _highest([figures.psi.value[name] / figures.psi.limit[name] for name in names])
    mark = _NAMES + room / highest
    drawn = []
    for index, name in enumerate(names):
        psi, top = figures.psi.value[name], index * _ROW + 4
        length = room * min(psi / figures.psi.limit[name], highest) / highest
        drawn.append(
            f'<text x="{_NAMES - 8}" y="{top + 11}" text-anchor="end">{escape(name)}</text>'
            f'<rect x="{_NAMES}" y="{top + 1}" width="{length:.1f}" height="12" '
            f'fill="var(--{"bad" if name in drifted else "bar"})"/>'
            f'<line x1="{mark:.1f}" x2="{mark:.1f}" y1="{top - 2}" y2="{top + 16}" stroke="var(--ink)" stroke-width="1.5"/>'
            f'<text x="{_WIDTH - _RIGHT + 6}" y="{top + 11}">{psi:.2f}</text>'
        )
    return _svg(_ROW * len(names) + 4, "PSI by feature", "".join(drawn))


def history(reports: Sequence[DriftFigures], names: Sequence[str]) -> str:
    """A line a feature over reports in order of time: PSI over its threshold, cut at eight times; drift is above 1."""
    bottom, right = _HEIGHT - 20 * len(names) - 30, _WIDTH - 10
    highest = _highest([_ratio(report, name) or 0.0 for report in reports for name in names])

    def x(index: int) -> float:
        return _LEFT + (right - _LEFT) * (index / max(1, len(reports) - 1))

    def y(ratio: float) -> float:
        return bottom - (bottom - _TOP) * min(ratio, highest) / highest

    drawn = [
        f'<line x1="{_LEFT}" x2="{right}" y1="{y(1):.1f}" y2="{y(1):.1f}" stroke="var(--muted)" stroke-dasharray="4 3"/>',
        f'<line x1="{_LEFT}" x2="{right}" y1="{bottom}" y2="{bottom}" stroke="var(--line)"/>',
        f'<text x="{_LEFT - 6}" y="{y(1) + 4:.1f}" text-anchor="end" class="quiet">1</text>',
        f'<text x="{_LEFT - 6}" y="{_TOP + 4}" text-anchor="end" class="quiet">{highest:.1f}</text>',
        f'<text x="{_LEFT}" y="{bottom + 16}" class="quiet">{escape(reports[0].end[:10])}</text>',
        f'<text x="{right}" y="{bottom + 16}" text-anchor="end" class="quiet">{escape(reports[-1].end[:10])}</text>',
    ]
    for n, name in enumerate(names):
        found = [(x(i), y(ratio)) for i, report in enumerate(reports) if (ratio := _ratio(report, name)) is not None]
        points = " ".join(f"{at:.1f},{height:.1f}" for at, height in found)
        drawn.append(f'<polyline points="{points}" fill="none" stroke="var(--l{n})" stroke-width="2"/>')
        label = bottom + 38 + 18 * n
        drawn.append(f'<rect x="{_LEFT}" y="{label - 9}" width="14" height="4" fill="var(--l{n})"/>')
        drawn.append(f'<text x="{_LEFT + 22}" y="{label - 2}">{escape(name)}</text>')
    return _svg(_HEIGHT, "PSI by report", "".join(drawn))


def _highest(ratios: Sequence[float]) -> float:
    return max(2.0, min(_HIGHEST, max(ratios)))


def _ratio(report: DriftFigures, name: str) -> float | None:
    value = report.psi.value.get(name)
    return None if value is None else value / report.psi.limit[name]


def _svg(height: int, label: str, inside: str) -> str:
    return f'<svg viewBox="0 0 {_WIDTH} {height}" role="img" aria-label="{label}">{inside}</svg>'
