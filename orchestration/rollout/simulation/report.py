"""The figures of a simulation: as JSON for machines, as a section of docs/evidence.md for people."""

from collections.abc import Iterable, Sequence
from math import exp, isfinite, lgamma, log, log1p
from pathlib import Path
from typing import Any

import numpy as np

from orchestration.drift.folder import write_whole
from orchestration.rollout.betting import Floats
from orchestration.rollout.policy import EvidencePolicy
from orchestration.rollout.simulation.run import Results

BEGIN, END = "<!-- simulation -->", "<!-- /simulation -->"
_SECTION = """## Error rates, by simulation

`make simulate` (seed {seed}): {runs:,} runs of each experiment with {requests:,} canary requests each, looked at after every
request, through the functions that judge a trial. The shipped policy divides alpha = {policy.alpha:g} among the tests and the
gateways' reflex.

### Innocent canaries that were ever stopped

{innocents}

The upper 95 % bound is {bound:.1%}; the policy allows {policy.alpha:.0%} and a point. On the real stream (flights of 2013 in
order, split by their aircraft, real scores and labels, load and failures that come in waves) the arms differ by their keys.
The tests do not see that: each compares two models on the same row, and latency only between requests of one size that came
close together. Tests of the arms' own rows at a nominal level of 5 %, looked at once at the end, take the keys for guilt:

{unpaired}

### Canary requests until a fault is found

{detection}

Medians; in brackets how many of a hundred innocent canaries that method stops by that figure. An infinite median is one that
is not reached within a run. Errors go from .2 % to 1.2 %; latency grows by 20 % (its logarithm spreads by .4); log-odds shift
by .2 (the noise of either arm spreads by .35); the AUC falls by .03, counted in labels. Kolmogorov-Smirnov looks at windows
of 200, Flagger's rule at minutes of 60 requests. A late fault begins after {good:,} good requests, and is counted from there.

Where both arms fail 5 % of their requests, a canary is innocent and beyond what is tolerated: {trouble:.1%} are stopped, of
{policy.alpha_trouble:.0%} that the policy allows. From pairs alone 1.2 % and .2 % cannot be told apart in less than some 1,200
requests at this alpha. So failures are held against a tolerated share first, and against the baseline's own at the looser
level.

### Promotions

{promotions}

Median labels until the loss passes: {equal} for a model that is as good, {better} for one whose AUC is .03 higher.
"""
OURS = ("errors", "invalid_outputs", "score_shift", "latency", "loss", "reflex")
DETECTED = ("errors", "latency", "score", "auc_labels")


def ever(*stops: Floats) -> float:
    """The share of runs that any of these stopped."""
    return float(np.isfinite(np.min(stops, axis=0)).mean())


def upper_bound(share: float, runs: int) -> float:
    """The upper 95 % bound of a share of runs (C. Clopper and E. Pearson, Biometrika 26, 1934; one-sided)."""
    stopped = round(share * runs)
    if stopped == runs:
        return 1.0
    low, high = share, 1.0
    for _ in range(50):
        middle = (low + high) / 2
        low, high = (middle, high) if _at_most(stopped, runs, middle) > 0.05 else (low, middle)
    return high


def _at_most(count: int, runs: int, chance: float) -> float:
    """The binomial chance of at most so many among the runs."""
    terms = (
        lgamma(runs + 1) - lgamma(k + 1) - lgamma(runs - k + 1) + k * log(chance) + (runs - k) * log1p(-chance)
        for k in range(count + 1)
    )
    return sum(map(exp, terms)) if 0 < chance < 1 else float(chance <= 0)


def figures(results: Results, *, runs: int, requests: int, seed: int) -> dict[str, Any]:
    """What simulation.json holds. A median that is not reached within a run is null."""
    independent, stream = (_stopped(results[name]) for name in ("innocent", "stream"))
    return {
        "aa_stop_rate": max(independent, stream),
        "median_requests": {name: _number(np.median(_detected(results, name))) for name in DETECTED},
        "median_requests_of_late_faults": {name: _number(np.median(results["late"][name])) for name in DETECTED},
        "aa_upper_bound": max(upper_bound(independent, runs), upper_bound(stream, runs)),
        "aa": {"independent": independent, "stream": stream},
        "stopped_in_shared_trouble": ever(results["trouble"]["ours"]),
        "false_promotion": {name: ever(stops) for name, stops in results["worse_by_delta"].items()},
        "median_labels_to_pass": {name: _number(np.median(results[name]["ours"])) for name in ("equal", "better")},
        "runs": runs,
        "requests": requests,
        "seed": seed,
    }


def section(results: Results, policy: EvidencePolicy, *, runs: int, requests: int, seed: int) -> str:
    """The part of docs/evidence.md between its markers."""
    found = figures(results, runs=runs, requests=requests, seed=seed)
    passed = found["median_labels_to_pass"]
    return _SECTION.format(
        seed=seed,
        runs=runs,
        requests=requests,
        good=requests // 2,
        policy=policy,
        bound=found["aa_upper_bound"],
        trouble=found["stopped_in_shared_trouble"],
        innocents=_innocents(results, runs),
        unpaired=_unpaired(results),
        detection=_detection(results),
        promotions=_promotions(results, policy),
        equal=_shown(passed["equal"]),
        better=_shown(passed["better"]),
    )


def write_section(page: Path, text: str) -> None:
    """Put `text` between the page's markers, and leave the rest of the page as it is; a page without them gets them."""
    old = page.read_text() if page.exists() else "# Evidence\n"
    before, begun, rest = old.partition(BEGIN)
    _, ended, after = rest.partition(END)
    if not begun or not ended:
        before, after = f"{old.rstrip()}\n\n", "\n"
    page.parent.mkdir(parents=True, exist_ok=True)
    write_whole(page, lambda draft: draft.write_text(f"{before}{BEGIN}\n\n{text}\n\n{END}{after}"))


def _stopped(found: Any) -> float:
    return ever(*(found[name] for name in OURS if name in found))


def _detected(results: Results, name: str) -> Floats:
    """All of ours that look at it: of errors, the test and the reflex."""
    found = results[name]
    return np.minimum(found["ours"], found["reflex"]) if "reflex" in found else found["ours"]


def _innocents(results: Results, runs: int) -> str:
    rows = []
    for label, name in (("rows that do not depend on each other", "innocent"), ("the real stream", "stream")):
        found = results[name]
        each = [f"{ever(found[test]):.1%}" if test in found else "-" for test in OURS]
        rows.append((label, *each, f"**{_stopped(found):.1%}**", f"{upper_bound(_stopped(found), runs):.1%}"))
    return _table(("", *OURS, "all together", "upper bound"), rows)


def _unpaired(results: Results) -> str:
    names = [name for name in results["stream"] if name.startswith("unpaired_")]
    shares = [f"{ever(results['stream'][name]):.1%}" for name in names]
    headings = [f"mean {name.removeprefix('unpaired_')}" for name in names]
    return _table(("unpaired z-test of", *headings), [("innocents stopped", *shares)])


def _detection(results: Results) -> str:
    innocent, methods = results["innocent"], ("z", "ks", "flagger")
    of_innocents = {"errors": "errors", "latency": "latency", "score": "score", "auc_labels": "loss"}
    ours = {"errors": ("errors", "reflex"), "latency": ("latency",), "score": ("score_shift",), "auc_labels": ("loss",)}
    rows = []
    for name in DETECTED:
        cells = [
            _cell(_detected(results, name), ever(*(innocent[test] for test in ours[name]))),
            _shown(_number(np.median(results["late"][name]))),
        ]
        for method in methods:
            falsely = innocent.get(f"{method}_{of_innocents[name]}")
            cells.append("-" if falsely is None else _cell(results[name][method], ever(falsely)))
        rows.append((name.replace("_", ", in "), *cells))
    return _table(
        ("", "ours", "ours, of a late fault", "z-test after every request", "Kolmogorov-Smirnov", "Flagger's rule"),
        rows,
    )


def _cell(stops: Floats, falsely: float) -> str:
    return f"{_shown(_number(np.median(stops)))} ({100 * falsely:.0f})"


def _promotions(results: Results, policy: EvidencePolicy) -> str:
    rows = [(name, f"{ever(stops):.1%}") for name, stops in results["worse_by_delta"].items()]
    return _table(
        (f"worse by exactly {policy.tests.loss.delta:g}", f"ever passed (allowed: {policy.alpha_pass:.0%})"), rows
    )


def _number(median: np.floating[Any]) -> float | None:
    return float(median) if isfinite(median) else None


def _shown(number: float | None) -> str:
    return "infinite" if number is None else f"{number:,.0f}"


def _table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = ["| " + " | ".join(headings) + " |", "|" + "---|" * len(headings)]
    return "\n".join([*lines, *("| " + " | ".join(row) + " |" for row in rows)])
