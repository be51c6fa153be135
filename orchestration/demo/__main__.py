"""`make demo`: start the platform, tell the story of the loop, leave a summary."""

import argparse
import os
import re
import sys
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import httpx
import redis
from rich.console import Console
from rich.markup import escape

from orchestration.demo import story as steps
from orchestration.demo.automation import show_automation
from orchestration.demo.conviction import convict
from orchestration.demo.dagster_runs import DagsterError
from orchestration.demo.narrator import Live, Narrator, StepFailedError
from orchestration.demo.story import Story
from orchestration.embedded.__main__ import urls
from orchestration.embedded.environment import NotReadyToStartError
from orchestration.embedded.stack import Stack
from orchestration.embedded.terminal import end_like_interrupt
from orchestration.ingestion.partitions import MissingPartitionError
from orchestration.replay.feed import NotAppliedError
from orchestration.settings import Settings

Step = tuple[str, str, Callable[[Story, Live], None]]
STEPS: list[Step] = [
    ("ingest", "Real flights and weather become features", steps.ingest),
    ("train", "A model is trained, proven, registered and published to Triton", steps.train_champion),
    ("challenger", "A neural network is trained beside it and gets no traffic yet", steps.train_challenger),
    ("materialize", "Feast brings the online store to the morning of 1 May 2013", steps.materialize),
    ("serve", "A day of flights is replayed through the gateway", steps.serve_a_day),
    ("drift", "The log lands in Parquet and Evidently compares it with the training data", steps.report_drift),
    ("canary", "A bad challenger becomes the canary", steps.try_challenger),
    ("rollback", "Evidence convicts it and a Dagster sensor rolls it back", convict),
    ("automation", "What the daemon did by itself meanwhile, and what it waits for", show_automation),
]
# What a person can act on is one line. Anything else is a defect of ours and keeps its traceback.
EXPECTED = (
    StepFailedError,
    DagsterError,
    NotReadyToStartError,
    MissingPartitionError,
    TimeoutError,
    httpx.HTTPError,
    NotAppliedError,
    redis.RedisError,
    ValueError,
)


def main() -> int:
    """Exit 0 when every step happened, 1 otherwise. However it ends, the summary tells of this run."""
    argparse.ArgumentParser(
        prog="python -m orchestration.demo",
        description="The whole loop on real flights. With a terminal it stays up until Ctrl-C, without one it stops.",
    ).parse_args()
    console = Console(highlight=False, soft_wrap=True)
    end_like_interrupt()
    # Only evidence shall convict the canary here: the gateway's own reflex stays out of it.
    os.environ["REFLEX"] = "off"
    narrator = Narrator(console)
    try:
        settings = Settings.load()
        summary = new_summary(settings)
        os.environ["ROLLOUT_POLICY_PATH"] = str(led_by_the_story(settings))
        return run(settings, narrator, summary)
    except (NotReadyToStartError, ValueError) as error:
        console.print(f"[red]cannot start:[/] {escape(str(error))}")
        return 1
    except KeyboardInterrupt:
        console.print("\nStopped; nothing is left running.")
        return 0 if narrator.told else 1


def run(settings: Settings, narrator: Narrator, summary: Path) -> int:
    """Tell the story over a stack of its own, write the summary, stay up where somebody is there to look around."""
    stack = Stack(settings)
    with ExitStack() as running:

        def start(live: Live) -> Story:
            running.enter_context(stack)
            stack.wait_until_healthy(lambda name, _: live(f"{name} is up"))
            return Story(settings, narrator)

        try:
            code = tell(settings, narrator, start)
        finally:
            narrator.write_summary(summary)
        narrator.console.print(f"\nSummary: {escape(str(summary))}")
        if code == 0 and sys.stdin.isatty() and narrator.console.is_terminal:
            narrator.console.print("The platform stays up: open the addresses above. Ctrl-C stops it.")
            stack.wait()
    return code


def new_summary(settings: Settings) -> Path:
    """Where the summary will stand; an earlier run's is removed. Raises NotReadyToStartError where it cannot be."""
    path = settings.home / "demo" / "summary.json"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
    except OSError as error:
        raise NotReadyToStartError(f"PLATFORM_HOME cannot be used: {error}") from error
    return path


def led_by_the_story(settings: Settings) -> Path:
    """The platform's policy, but that no trial begins by itself: the story begins its own. Raises NotReadyToStartError."""
    path = settings.home / "demo" / "policy.toml"
    try:
        path.write_text(re.sub(r"(?m)^automatic = true$", "automatic = false", settings.rollout_policy.read_text()))
    except OSError as error:
        raise NotReadyToStartError(f"ROLLOUT_POLICY_PATH or PLATFORM_HOME cannot be used: {error}") from error
    return path


def tell(settings: Settings, narrator: Narrator, start: Callable[[Live], Story], steps: list[Step] = STEPS) -> int:
    """Start, then run every step; the first that does not happen ends the story with exit code 1."""
    try:
        with narrator.step("start", "The platform starts: Redis, Triton, MLflow, Dagster and the gateway") as live:
            story = start(live)
        for name, title, step in steps:
            with narrator.step(name, title) as live:
                step(story, live)
    except EXPECTED as error:
        told = escape(str(error) or type(error).__name__)
        narrator.console.print(f"\n[red]The demo stopped:[/] {told}\nLogs: {escape(str(settings.home))}/log/")
        return 1
    narrator.told = True
    narrator.console.print(f"\n[bold]The whole loop in {narrator.seconds:.0f} s.[/] Things to look at:")
    for what, address in urls(settings):
        narrator.console.print(f"   {what:14} {address}")
    narrator.console.print(f"   {'The verdict':14} {settings.dagster_url}/assets/canary_verdict")
    narrator.console.print(f"   {'Asset graph':14} {settings.dagster_url}/asset-groups")
    return 0


if __name__ == "__main__":
    sys.exit(main())
