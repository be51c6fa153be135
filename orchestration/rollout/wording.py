"""What a test saw and what it claims, in words for people."""

from collections.abc import Mapping

from orchestration.rollout.policy import Criterion, CriterionName

ABSENT: Mapping[CriterionName, str] = {
    "errors": "no row of the canary has been scored by the baseline too yet",
    "invalid_outputs": "no row of the canary has been scored by the baseline too yet",
    "score_shift": "no row has been scored by both arms yet",
    "latency": "too few requests of the canary and of the control arm to compare their latency yet",
    "loss": "no labelled row has been scored by both arms yet",
}


def seen(name: CriterionName, rows: int, mean: float) -> str:
    """What `rows` differences with this mean are, as the beginning of a sentence."""
    counted = f"{rows} {unit(name, rows)}"
    if name in ("errors", "invalid_outputs"):
        return f"of {counted} that both arms were asked for, {_net(name, round(mean * rows))} ({mean:+.2%})"
    if name == "score_shift":
        higher = "higher" if mean > 0 else "lower"
        return (
            f"{counted} scored by both arms: the canary's log-odds are {abs(mean):.3f} {higher} than its model explains"
        )
    if name == "latency":
        return f"{counted} of the canary and the control arm: the canary's request is the slower one in {0.5 + mean / 2:.1%}"
    return f"{counted} scored by both arms: the canary's Brier score is {abs(mean):.4f} {'higher' if mean > 0 else 'lower'}"


def claims(name: CriterionName, test: Criterion) -> tuple[str, str]:
    """What a failure has shown and what a pass has: "evidence 120 to 1 that ..."."""
    if name == "latency":  # the mean is 2 P(slower) - 1
        slow, slower = (0.5 + mean / 2 for mean in (test.tolerance, test.delta))
        return f"it is slower in more than {slow:.1%}", f"it is slower in less than {slower:.1%}"
    worse, not_worse = {
        "errors": ("it fails more often", f"it does not fail {test.delta:.2%} more often"),
        "invalid_outputs": (
            "more of its answers are no probabilities",
            f"that is not so for {test.delta:.2%} more of them",
        ),
        "score_shift": ("its scores are shifted", f"they are shifted by less than {test.delta:g}"),
        "loss": ("it is worse", f"it is not worse by {test.delta:g}"),
    }[name]
    return worse + (f", by more than {test.tolerance:g}" if test.tolerance else ""), not_worse


def unit(name: CriterionName, count: int) -> str:
    """What a difference of this test is of."""
    one, many = {
        "errors": ("canary row", "canary rows"),
        "invalid_outputs": ("canary row", "canary rows"),
        "score_shift": ("row", "rows"),
        "latency": ("block of requests", "blocks of requests"),
        "loss": ("labelled row", "labelled rows"),
    }[name]
    return one if count == 1 else many


def _net(name: CriterionName, more: int) -> str:
    what = "failed" if name == "errors" else "got no probability"
    if more == 0:
        return f"as many {what} on the canary as on the baseline"
    return f"{abs(more)} {'more' if more > 0 else 'fewer'} {what} on the canary"
