"""The backtest's section of docs/evidence.md, and summary.json."""

from collections.abc import Iterator, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

from orchestration.backtest.faults import DATA_FAULTS
from orchestration.backtest.results import Results, caught_by, median_delay, median_requests
from orchestration.backtest.textbook import RULES
from orchestration.backtest.trial_log import CANARY_FAULTS
from orchestration.drift.folder import write_whole

BEGIN, END = "<!-- backtest -->", "<!-- /backtest -->"
NOT_CAUGHT = "not caught"
NONE = "-"


class PageError(Exception):
    """The page has no place for the section; the message names it and what is missing."""


def require_place(page: Path) -> str:
    """The text of `page`, which has a place for the section. Raises PageError."""
    try:
        whole = page.read_text()
    except OSError as error:
        raise PageError(f"{page} cannot be read: {error}") from error
    if whole.count(BEGIN) != 1 or whole.count(END) != 1 or whole.index(END) < whole.index(BEGIN):
        raise PageError(f"{page} must hold {BEGIN} and, after it, {END}, once each")
    return whole


def write_section(page: Path, text: str) -> None:
    """Put `text` between the markers of `page`; the rest of the page stays as it is. Raises PageError."""
    whole = require_place(page)
    before, after = whole[: whole.index(BEGIN)], whole[whole.index(END) :]
    write_whole(page, lambda draft: draft.write_text(f"{before}{BEGIN}\n{text}\n{after}"))


def summary(results: Results) -> dict[str, Any]:
    """The figures for machines; delays are hours of event time, None where most runs caught nothing."""
    return {
        "share_of_weekly_gain": round(results.share, 4),
        "false_alarms_per_quarter": round(results.false_alarms_per_quarter, 4),
        "faults": [
            {"name": name, "caught_by": caught_by(runs), "delay": _hours(median_delay([run.delay for run in runs]))}
            for name, runs in results.faults.items()
        ],
        "retrains": len(results.retrains),
        "weekly_retrains": len(results.plan.mondays),
        "log_loss": dict(zip(("frozen", "ours", "weekly"), (round(x, 4) for x in results.log_loss), strict=True)),
    }


def section(results: Results) -> str:
    """Markdown of everything that was found."""
    parts = (_verdict(results), _timeline(results), _alarms(results), _faults(results))
    return "\n".join(line for part in parts for line in (*part, "")).rstrip()


def _verdict(results: Results) -> Iterator[str]:
    plan, (frozen, ours, weekly) = results.plan, results.log_loss
    n, possible = len(results.retrains), len(plan.mondays)
    gain = frozen - weekly
    yield "### The year in one table"
    yield ""
    yield f"Replayed: {plan.start} to {plan.end} (exclusive), {possible} weeks. Frozen: trained on {plan.first} to {plan.start}."
    yield ""
    yield "| | log-loss | share of the gain | retrains |"
    yield "|---|---|---|---|"
    yield f"| frozen model | {frozen:.4f} | 0 % | 0 |"
    yield f"| the platform | {ours:.4f} | {results.share:.1%} | {n} |"
    for every, share in results.calendar.items():
        what = f"by the calendar, every {every} weeks, with a rollout as long as ours"
        yield f"| {what} | {frozen - share * gain:.4f} | {share:.1%} | {len(plan.mondays[every::every])} |"
    yield f"| retrained every week, served at once | {weekly:.4f} | 100 % | {possible} |"
    yield ""
    yield "| target | measured | |"
    yield "|---|---|---|"
    yield f"| at least 90 % of weekly retraining's gain | {results.share:.1%} | {_met(results.share >= 0.9)} |"
    yield f"| with at most half of its retrains ({possible // 2}) | {n} | {_met(2 * n <= possible)} |"
    alarms = results.false_alarms_per_quarter
    yield f"| at most 1 false alarm a quarter | {alarms:.2f} | {_met(alarms <= 1)} |"
    yield ""
    yield "![Log-loss by week, with retrains and promotions](images/backtest-year.png)"


def _timeline(results: Results) -> Iterator[str]:
    yield "### What it did, and when"
    yield ""
    yield (
        "`warned`: windows that were bad since the last retrain. `gain`: by how much the new model's log-loss was below its "
        "predecessor's, from its promotion to the next one's, in nats a row."
    )
    yield ""
    yield "| warned | asked for a model | shadow from | canary from | promoted | baseline | ended | gain |"
    yield "|---|---|---|---|---|---|---|---|"
    warned: list[str] = []
    for event in results.events:
        if event.what == "warned":
            warned.append(f"{event.at:%d %b}")
        if event.what == "retrained":
            retrain = next(one for one in results.retrains if one.asked == event.at)
            cells = [
                _when(results, event.model, what) for what in ("retrained", "on trial", "step", "promoted", "settled")
            ]
            gain = NONE if retrain.gain is None else f"{retrain.gain:+.4f}"
            yield f"| {', '.join(warned)} | {' | '.join(cells)} | {_ended(results, event.model)} | {gain} |"
            warned = []


def _alarms(results: Results) -> Iterator[str]:
    weeks, quarters = len(results.weeks), results.plan.quarters
    yield "### False alarms"
    yield ""
    yield "| rule | alarms |"
    yield "|---|---|"
    for rule in RULES:
        yield f"| textbook: {rule}, a week against January to March | {sum(rule in week.textbook for week in results.weeks)} of {weeks} weeks |"
    redrawn = results.redrawn
    yield (
        f"| ours: a new model asked for in a no-drift year | {sum(redrawn)} in {len(redrawn)} years: "
        f"{sum(redrawn) / len(redrawn) / quarters:.2f} a quarter |"
    )
    yield f"| ours: a retrain that brought no later gain | {results.useless_retrains} of {len(results.retrains)}: {results.useless_retrains / quarters:.2f} a quarter |"
    for check, days in sorted(results.data_alarms.items()):
        yield f"| daily check of the data, no fault: {check} | {days} of {results.watched_days} days |"


def _faults(results: Results) -> Iterator[str]:
    what = {fault.name: fault.what for fault in (*DATA_FAULTS, *CANARY_FAULTS)}
    yield "### Ten faults, each beside a clean twin"
    yield ""
    yield (
        "`paged by`: the first alarm of a check that is quiet without a fault, that is all but those of single features' PSI."
    )
    yield ""
    yield "| fault | what is done | caught by | caught | median delay | paged by | paged | median delay | canary requests |"
    yield "|---|---|---|---|---|---|---|---|---|"
    for name, runs in results.faults.items():
        first = _caught([run.by for run in runs], [run.delay for run in runs])
        page = _caught([run.paged_by for run in runs], [run.page for run in runs])
        requests = median_requests(runs)
        yield f"| {name} | {what[name]} | {first} | {page} | {'' if requests is None else requests} |"
    yield ""
    yield f"Begun at {', '.join(f'{moment:%d %b %H:%M}' for moment in results.plan.fault_moments())} (UTC); a canary's trial at that day's midnight."
    yield ""
    yield "![Delays of the faults](images/backtest-faults.png)"


def _caught(by: Sequence[str | None], delays: Sequence[timedelta | None]) -> str:
    """What caught the runs of a fault, how many of them, and the median delay, as three cells."""
    named = ", ".join(dict.fromkeys(name or NOT_CAUGHT for name in by))
    return f"{named} | {sum(name is not None for name in by)} of {len(by)} | {_delay(median_delay(delays))}"


def _when(results: Results, model: object, what: str) -> str:
    return next((f"{e.at:%d %b %H:%M}" for e in results.events if e.model == model and e.what == what), NONE)


def _ended(results: Results, model: object) -> str:
    ends = ("settled", "rolled back", "gave up")
    return next((e.what for e in results.events if e.model == model and e.what in ends), "under way")


def _met(met: bool) -> str:
    return "met" if met else "**missed**"


def _hours(delay: timedelta | None) -> float | None:
    return None if delay is None else round(delay / timedelta(hours=1), 2)


def _delay(delay: timedelta | None) -> str:
    hours = _hours(delay)
    return NONE if hours is None else f"{hours:.0f} h"
