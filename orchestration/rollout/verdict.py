"""Is the canary worse than the baseline? Evidence in, verdict and reason out."""

import math
from dataclasses import dataclass
from typing import Literal

from orchestration.rollout.betting import Floats, bounded, log_capital, log_capital_of_failures, log_capital_two_sided
from orchestration.rollout.evidence import Evidence
from orchestration.rollout.policy import CriterionName, EvidencePolicy
from orchestration.rollout.wording import ABSENT, claims, seen, unit

Outcome = Literal["pass", "fail", "inconclusive", "error"]

CRITERIA: tuple[CriterionName, ...] = ("errors", "invalid_outputs", "score_shift", "latency", "loss")
_TWO_SIDED = frozenset({"score_shift"})
_FAILURES = frozenset({"errors", "invalid_outputs"})


@dataclass(frozen=True)
class CriterionResult:
    """What one test found.

    `rows` are its differences (of `latency`: blocks of requests), `difference` is their mean, NaN without any. `e_fail` and
    `e_pass` are the largest capitals reached. `more_rows` estimates how many further ones an inconclusive test needs;
    None where none are due or nothing can be said.
    """

    name: CriterionName
    outcome: Outcome
    reason: str
    rows: int = 0
    difference: float = math.nan
    e_fail: float = 1.0
    e_pass: float = 1.0
    more_rows: int | None = None


@dataclass(frozen=True)
class Verdict:
    """What all tests together say of a trial; `criteria` is empty where there was nothing to judge."""

    outcome: Outcome
    reason: str
    criteria: tuple[CriterionResult, ...] = ()

    def criterion(self, name: CriterionName) -> CriterionResult:
        """The result of one test. Raises KeyError where it was not judged."""
        for result in self.criteria:
            if result.name == name:
                return result
        raise KeyError(name)


@dataclass(frozen=True)
class Capitals:
    """Log-capitals of one test after each row, shape [n]: against "no worse", and each side's against "worse by delta"."""

    fail: Floats
    passed: tuple[Floats, ...]


def capitals(name: CriterionName, differences: Floats, policy: EvidencePolicy) -> Capitals:
    """The e-processes of one test, shape [n]."""
    return Capitals(fail_capital(name, differences, policy), pass_capitals(name, differences, policy))


def fail_capital(name: CriterionName, differences: Floats, policy: EvidencePolicy) -> Floats:
    """Log-capital of one test against "no worse", shape [..., n]; leading axes are trials of their own."""
    tolerance = policy.test(name).tolerance
    if name in _FAILURES:
        excused = math.log(policy.alpha_trouble / policy.alpha_of(name))
        return log_capital_of_failures(differences, tolerance, excused)
    if name in _TWO_SIDED:
        return log_capital_two_sided(differences, tolerance)
    return log_capital(differences, tolerance, from_any_row=True)


def pass_capitals(name: CriterionName, differences: Floats, policy: EvidencePolicy) -> tuple[Floats, ...]:
    """Log-capitals of one test against "worse by delta", shape [..., n], one for each side that counts."""
    delta = policy.test(name).delta
    above = log_capital(-differences, -delta)
    return (above, log_capital(differences, -delta)) if name in _TWO_SIDED else (above,)


def judge(evidence: Evidence, policy: EvidencePolicy) -> Verdict:
    """Judge a trial by every test of the policy.

    Returns:
        `fail` when any test fails, else `error` when any could not be computed, `pass` when the loss has passed, else
        `inconclusive`: absence of data never promotes. The reason names what decided.
    """
    results = tuple(judge_criterion(name, evidence, policy) for name in CRITERIA)
    outcomes = {result.name: result.outcome for result in results}
    for outcome in ("fail", "error"):
        if outcome in outcomes.values():
            reason = "; ".join(result.reason for result in results if result.outcome == outcome)
            return Verdict(outcome, reason, results)
    loss = results[CRITERIA.index("loss")]
    return Verdict(loss.outcome, loss.reason, results)


def judge_criterion(name: CriterionName, evidence: Evidence, policy: EvidencePolicy) -> CriterionResult:
    """Judge by one test.

    Returns:
        `fail` when "its mean difference is at most `tolerance`" is rejected at the test's share of `alpha` (of errors and of
        invalid outputs: see `log_capital_of_failures`); `pass` when
        "it is `delta` or more" is rejected at `alpha_pass`; else `inconclusive`. `score_shift` counts in either direction:
        it passes when both "`delta` or more" and "-`delta` or less" are rejected. `error`: a difference is NaN or
        outside [-1, 1].
    """
    differences = evidence.of(name)
    rows = len(differences)
    if rows == 0:
        return CriterionResult(name, "inconclusive", evidence.absent.get(name, ABSENT[name]))
    if not bounded(differences):
        return CriterionResult(name, "error", f"{name}: a row's difference is not a number in [-1, 1]", rows)
    mean = float(differences.mean())
    found = capitals(name, differences, policy)
    fail, passed = float(found.fail.max()), min(float(side.max()) for side in found.passed)
    bound_fail, bound_pass = -math.log(policy.alpha_of(name)), -math.log(policy.alpha_pass)
    worse, not_worse = claims(name, policy.test(name))
    more: int | None = None
    outcome: Outcome = "inconclusive"
    # A canary that was once shown to be worse stays failed, whatever came later.
    if fail >= bound_fail:
        outcome, rest = "fail", f"evidence {_odds(fail)} to 1 that {worse} (bound {math.exp(bound_fail):.0f})"
    elif passed >= bound_pass:
        outcome, rest = "pass", f"evidence {_odds(passed)} to 1 that {not_worse} (bound {math.exp(bound_pass):.0f})"
    else:
        more = _more_rows(found, bound_fail, bound_pass, rows)
        expected = "" if more is None else f"; about {more} more {unit(name, more)} are expected to decide"
        rest = f"not enough evidence either way{expected}"
    reason = f"{seen(name, rows, mean)}; {rest}"
    return CriterionResult(name, outcome, reason, rows, mean, _e(fail), _e(passed), more)


def _e(log_capital: float) -> float:
    return math.exp(log_capital)


def _odds(log_capital: float) -> str:
    return f"{_e(log_capital):.3g}"


def _more_rows(found: Capitals, bound_fail: float, bound_pass: float, rows: int) -> int | None:
    """Rows still to come until the first bound is reached, if log-capital keeps growing as it has."""
    fail = _wait(found.fail, bound_fail, rows)
    passed = max(_wait(side, bound_pass, rows) for side in found.passed)  # all sides have to get there
    soonest = min(fail, passed)
    return math.ceil(soonest) if math.isfinite(soonest) else None


def _wait(capital: Floats, bound: float, rows: int) -> float:
    """Rows until `capital` reaches `bound` at the pace it has had; infinite where it does not grow."""
    if capital.max() >= bound:
        return 0.0
    now = float(capital[-1])
    return rows * (bound - now) / now if now > 0 else math.inf
