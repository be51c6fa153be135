"""`make up`: start the platform on this machine and keep it until Ctrl-C, or for the time of a command."""

import argparse
import sys

from rich.console import Console
from rich.markup import escape

from orchestration.embedded.alerting import said
from orchestration.embedded.command import run_on_platform
from orchestration.embedded.environment import NotReadyToStartError, admin_token_file
from orchestration.embedded.stack import Stack
from orchestration.embedded.terminal import end_like_interrupt
from orchestration.settings import Settings

_INTERRUPTED = 130


def urls(settings: Settings) -> list[tuple[str, str]]:
    """(what, address) of everything a person can open."""
    return [
        ("Gateway", f"{settings.gateway_url}/"),
        ("Dagster", settings.dagster_url),
        ("MLflow", settings.mlflow_url),
        ("Drift reports", f"{settings.reports_url}/drift/"),
        ("Triton", f"http://{settings.triton_http}/v2"),
    ]


def main() -> int:
    """Exit 0 after Ctrl-C, 1 when something did not come up; with `--run`, as the command does."""
    parser = _parser()
    command = parser.parse_args().run
    if command == []:
        parser.error("--run needs a command")
    console = Console(stderr=bool(command), highlight=False)
    end_like_interrupt()
    try:
        settings = Settings.load()
        if command is None:
            return _keep_up(settings, console)
        return run_on_platform(settings, command, lambda what: console.print(f"  {escape(what)}"))
    except (NotReadyToStartError, ValueError) as error:
        console.print(f"[red]cannot start:[/] {escape(str(error))}")
        return 1
    except KeyboardInterrupt:
        console.print("\nStopped; nothing is left running.")
        return _INTERRUPTED if command else 0


def _keep_up(settings: Settings, console: Console) -> int:
    with Stack(settings) as stack:
        stack.wait_until_healthy(lambda name, seconds: console.print(f"  [green]up[/] {name} ({seconds:.1f} s)"))
        console.print(f"\nThe platform is up; its state and logs are under {escape(str(settings.home))}\n")
        for what, address in urls(settings):
            console.print(f"  {what:14} {address}")
        for what, where in said(settings):
            console.print(f"  {what:14} {escape(where)}")
        console.print(f"  {'Admin token':14} ADMIN_TOKEN, else in {escape(str(admin_token_file(settings)))}")
        console.print("\nCtrl-C stops it.")
        stack.wait()
    console.print("[red]the supervisor ended by itself[/]")
    return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m orchestration.embedded",
        description="Start Redis, Triton, MLflow, Dagster and the gateway on loopback; Ctrl-C stops them all.",
        epilog="Ports move by environment: "
        + ", ".join(name.upper() for name in Settings.port_defaults())
        + ". State lives under PLATFORM_HOME (default .local).",
    )
    parser.add_argument(
        "--run",
        nargs=argparse.REMAINDER,
        metavar="COMMAND",
        help="run this command, then stop; where a platform runs on this PLATFORM_HOME already, use it and leave it up",
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
