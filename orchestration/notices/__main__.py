"""`python -m orchestration.notices`: the latest notices."""

import argparse
import re
import sys
from datetime import UTC, datetime, timedelta

import msgspec
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from orchestration.notices.journal import read
from orchestration.notices.notice import Notice
from orchestration.settings import Settings

_UNITS = {"m": "minutes", "h": "hours", "d": "days"}
_COLOURS = {"SEV1": "red", "SEV2": "yellow", "SEV3": "cyan"}


def since(text: str) -> datetime:
    """`90m`, `6h`, `7d` before now, or an ISO 8601 instant (UTC where it names no zone). Raises ArgumentTypeError."""
    if found := re.fullmatch(r"(\d{1,5})([mhd])", text):
        return datetime.now(UTC) - timedelta(**{_UNITS[found[2]]: int(found[1])})
    try:
        instant = datetime.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is neither like 90m, 6h, 7d nor an ISO 8601 instant") from None
    return instant if instant.tzinfo else instant.replace(tzinfo=UTC)


def count(text: str) -> int:
    """A whole number from 1. Raises ArgumentTypeError."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number from 1")
    return int(text)


def main(arguments: list[str] | None = None) -> int:
    """Print the latest notices. Exit 0, or 1 where the settings or the file cannot be read."""
    parser = argparse.ArgumentParser(
        prog="python -m orchestration.notices",
        description="The latest notices of PLATFORM_HOME/notices.jsonl, newest first.",
    )
    parser.add_argument("--since", type=since, metavar="WHEN", help="not older than 90m, 6h, 7d or an ISO instant")
    parser.add_argument("--last", type=count, default=20, metavar="N", help="at most this many (default 20)")
    parser.add_argument("--json", action="store_true", help="one JSON document a line")
    given = parser.parse_args(arguments)
    try:
        path = Settings.load().notices
        kept = read(path)
    except (OSError, ValueError) as error:
        print(f"cannot read the notices: {error}", file=sys.stderr)
        return 1
    if kept.unreadable:
        print(f"{path}: no notice on line {', '.join(map(str, kept.unreadable))}", file=sys.stderr)
    wanted = [notice for notice in reversed(kept.notices) if given.since is None or notice.time >= given.since]
    _show(wanted[: given.last], as_json=given.json)
    return 0


def _show(notices: list[Notice], *, as_json: bool) -> None:
    if as_json:
        for notice in notices:
            print(msgspec.json.encode(notice).decode())
        return
    if not notices:
        print("No notices.")
        return
    table = Table("time", "severity", "what", "look at")
    for notice in notices:
        colour = _COLOURS[notice.severity]
        what = f"[bold]{escape(notice.title)}[/]\n{escape(notice.text)}"
        time = notice.time.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S")
        table.add_row(time, f"[{colour}]{notice.severity}[/]", what, escape(notice.link))
    Console(highlight=False).print(table)


if __name__ == "__main__":
    sys.exit(main())
