"""python -m orchestration.rollout.shadow_review: what the models that shadowed were found to be."""

import argparse
import json
import math
import sys
from dataclasses import asdict, dataclass
from typing import Any

from orchestration.console import table_console
from orchestration.rollout.shadow_runs import ShadowReviewError, client, without_password
from orchestration.settings import Settings

METRICS = ("shadow_rows", "shadow_brier_difference", "shadow_evidence_fail", "shadow_evidence_pass")


@dataclass(frozen=True)
class Review:
    """One MLflow run with the tag `shadow=true`. `metrics` are those of `verdict`; both empty until `trial` is judged."""

    run_id: str
    url: str
    model: str
    since: str
    trial: str
    ended: str
    end: str
    verdict: str
    metrics: dict[str, float]


def reviews(mlflow_url: str, *, limit: int = 20) -> list[Review]:
    """Runs with the tag `shadow=true` of every experiment, the latest shadow first. Raises ShadowReviewError."""
    with client(mlflow_url) as mlflow:
        experiments = [e.experiment_id for e in mlflow.search_experiments()]
        runs = mlflow.search_runs(experiments, filter_string="tags.shadow = 'true'", max_results=1000)
        found = [_review(mlflow, mlflow_url, run) for run in runs]
    return sorted(found, key=lambda review: review.since, reverse=True)[:limit]


def main(arguments: list[str] | None = None) -> int:
    """Exit 0 with the list, 1 where MLflow does not give it."""
    parser = argparse.ArgumentParser(
        prog="python -m orchestration.rollout.shadow_review",
        description="Models that shadow or have shadowed (MLflow runs tagged shadow=true), the latest first.",
    )
    parser.add_argument("--json", action="store_true", help="one JSON array instead of a table")
    options = parser.parse_args(arguments)
    try:
        found = reviews(Settings.load().mlflow_url)
    except (ShadowReviewError, ValueError) as error:
        print(f"shadow_review: {error}", file=sys.stderr)
        return 1
    if options.json:
        print(json.dumps([asdict(review) for review in found], indent=2))
    elif not found:
        print("No model has shadowed yet. The asset canary_arm starts one; with weight 0 it only shadows.")
    else:
        _show(found)
    return 0


def _review(mlflow: Any, url: str, run: Any) -> Review:
    tags, run_id = run.data.tags, run.info.run_id
    versions = mlflow.search_model_versions(f"run_id = '{run_id}'")
    return Review(
        run_id=run_id,
        url=f"{without_password(url)}/#/experiments/{run.info.experiment_id}/runs/{run_id}",
        model=", ".join(f"{v.name} version {v.version}" for v in versions),
        since=tags.get("shadow_since", ""),
        trial=tags.get("shadow_trial", ""),
        ended=tags.get("shadow_ended", ""),
        end=tags.get("shadow_end", ""),
        verdict=tags.get("shadow_verdict", ""),
        metrics={
            name: value
            for name in METRICS
            if "shadow_verdict" in tags and not math.isnan(value := run.data.metrics.get(name, math.nan))
        },
    )


def _show(found: list[Review]) -> None:
    from rich.markup import escape
    from rich.table import Column, Table

    difference_of = Column("Brier difference", min_width=len("Brier difference"))  # one line, however narrow the rest
    table = Table("model", "shadow", "rows", difference_of, "worse : not worse", "verdict")
    for r in found:
        rows, difference, worse, not_worse = (r.metrics.get(name) for name in METRICS)
        evidence = "" if worse is None or not_worse is None else f"{worse:.3g} : {not_worse:.3g}"
        table.add_row(
            escape(f"{r.model}\ntrial {r.trial}"),
            escape(f"since {r.since[:19]}\n" + (f"until {r.ended[:19]}: {r.end}" if r.ended else "it shadows now")),
            "" if rows is None else f"{rows:.0f}",
            "" if difference is None else f"{difference:+.4f}",
            evidence,
            escape(r.verdict or "not judged yet"),
        )
    table_console().print(table)


if __name__ == "__main__":
    sys.exit(main())
