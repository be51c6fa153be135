"""`make up`: start the platform on this machine and keep it until Ctrl-C."""

import argparse
import sys

from rich.console import Console
from rich.markup import escape

from orchestration.embedded.environment import NotReadyToStartError
from orchestration.embedded.stack import Stack
from orchestration.embedded.terminal import end_like_interrupt
from orchestration.settings import Settings


def urls(settings: Settings) -> list[tuple[str, str]]:
    """(what, address) of everything a person can open."""
    return [
        ("Gateway", f"{settings.gateway_url}/rollout"),
        ("Dagster", settings.dagster_url),
        ("MLflow", settings.mlflow_url),
        ("Drift reports", f"{settings.reports_url}/drift/"),
        ("Triton", f"http://{settings.triton_http}/v2"),
    ]


def main() -> int:
    """Exit 0 after Ctrl-C, 1 when something did not come up."""
    parser = argparse.ArgumentParser(
        prog="python -m orchestration.embedded",
        description="Start Redis, Triton, MLflow, Dagster and the gateway on loopback; Ctrl-C stops them all.",
        epilog="Ports move by environment: "
        + ", ".join(name.upper() for name in Settings.port_defaults())
        + ". State lives under PLATFORM_HOME (default .local).",
    )
    parser.parse_args()
    console = Console(stderr=False, highlight=False)
    end_like_interrupt()
    try:
        settings = Settings.load()
        with Stack(settings) as stack:
            stack.wait_until_healthy(lambda name, seconds: console.print(f"  [green]up[/] {name} ({seconds:.1f} s)"))
            console.print(f"\nThe platform is up; its state and logs are under {escape(str(settings.home))}\n")
            for what, address in urls(settings):
                console.print(f"  {what:14} {address}")
            console.print("\nCtrl-C stops it.")
            stack.wait()
    except (NotReadyToStartError, ValueError) as error:
        console.print(f"[red]cannot start:[/] {escape(str(error))}")
        return 1
    except KeyboardInterrupt:
        console.print("\nStopped; nothing is left running.")
        return 0
    console.print("[red]the supervisor ended by itself[/]")
    return 1


if __name__ == "__main__":
    sys.exit(main())
