"""`make demo`: start the platform, tell the story of the loop, leave a summary."""

import argparse
import os
import signal
import sys
from collections.abc import Callable

import httpx
import redis
from rich.console import Console

from orchestration.demo import story as steps
from orchestration.demo.conviction import convict
from orchestration.demo.dagster_runs import DagsterError
from orchestration.demo.narrator import Live, Narrator, StepFailedError
from orchestration.demo.story import Story
from orchestration.embedded.__main__ import raise_interrupt, urls
from orchestration.embedded.environment import NotReadyToStartError
from orchestration.embedded.stack import Stack
from orchestration.settings import Settings

STEPS: list[tuple[str, str, Callable[[Story, Live], None]]] = [
    ("ingest", "Real flights and weather become features", steps.ingest),
    ("train", "A model is trained, proven, registered and published to Triton", steps.train_champion),
    ("materialize", "Feast brings the online store to the morning of 1 May 2013", steps.materialize),
    ("serve", "A day of flights is replayed through the gateway", steps.serve_a_day),
    ("drift", "The log lands in Parquet and Evidently compares it with the training data", steps.report_drift),
    ("canary", "A bad challenger becomes the canary", steps.try_challenger),
    ("rollback", "Evidence convicts it and a Dagster sensor rolls it back", convict),
]
EXPECTED = (StepFailedError, DagsterError, NotReadyToStartError, httpx.HTTPError, redis.RedisError, ValueError)


def main() -> int:
    """Exit 0 when every step happened, 1 otherwise."""
    argparse.ArgumentParser(
        prog="python -m orchestration.demo",
        description="The whole loop on real flights. With a terminal it stays up until Ctrl-C, without one it stops.",
    ).parse_args()
    console = Console(highlight=False, soft_wrap=True)
    signal.signal(signal.SIGTERM, raise_interrupt)
    # Only evidence shall convict the canary here: the gateway's own reflex stays out of it.
    os.environ["REFLEX"] = "off"
    narrator = Narrator(console)
    try:
        settings = Settings.load()
        with Stack(settings) as stack:
            code = tell(settings, narrator, stack)
            narrator.write_summary(settings.home / "demo" / "summary.json")
            console.print(f"\nSummary: {settings.home}/demo/summary.json")
            if code == 0 and sys.stdin.isatty() and console.is_terminal:
                console.print("The platform stays up: open the addresses above. Ctrl-C stops it.")
                stack.wait()
    except NotReadyToStartError as error:
        console.print(f"[red]cannot start:[/] {error}")
        return 1
    except KeyboardInterrupt:
        console.print("\nStopped; nothing is left running.")
        return 0 if narrator.figures["time_to_zero_seconds"] is not None else 1
    return code


def tell(settings: Settings, narrator: Narrator, stack: Stack) -> int:
    """Run every step; the first that does not happen ends the story with exit code 1."""
    try:
        with narrator.step("start", "The platform starts: Redis, Triton, MLflow, Dagster and the gateway") as live:
            stack.wait_until_healthy(lambda name, _: live(f"{name} is up"))
        story = Story(settings, narrator)
        for name, title, step in STEPS:
            with narrator.step(name, title) as live:
                step(story, live)
    except EXPECTED as error:
        narrator.console.print(f"\n[red]The demo stopped:[/] {error}\nLogs: {settings.home}/log/")
        return 1
    narrator.console.print(f"\n[bold]The whole loop in {narrator.seconds:.0f} s.[/] Things to look at:")
    for what, address in urls(settings):
        narrator.console.print(f"   {what:14} {address}")
    narrator.console.print(f"   {'The verdict':14} {settings.dagster_url}/assets/canary_verdict")
    narrator.console.print(f"   {'Asset graph':14} {settings.dagster_url}/asset-groups")
    return 0


if __name__ == "__main__":
    sys.exit(main())
