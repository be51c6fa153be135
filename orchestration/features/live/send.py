"""`python -m orchestration.features.live.send`: events from a file, or line by line from another program."""

import argparse
import os
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

import redis

from orchestration.features.live.events import Event, EventError, decode
from orchestration.features.live.stream import send
from orchestration.settings import Settings

_EPILOG = """\
example:
  python -m orchestration.features.live.send events.jsonl
  echo '{"kind": "progress", "at": "2013-05-01T15:15:00Z"}' | python -m orchestration.features.live.send -

kinds and fields: docs/architecture.md, Live features
exit codes: 0 all sent; 1 bad lines; 2 the file, the settings or Redis cannot be used
"""


class Bad(Exception):  # noqa: N818 - a line, not a failure of ours
    """A line that is no event: `FILE:LINE: $.path: message`."""


def parsed(lines: Iterable[bytes], name: str) -> Iterator[Event | Bad]:
    """Each line as an event, or as what is wrong with it; blank lines are left out."""
    for number, line in enumerate(lines, start=1):
        if line.strip():
            try:
                yield decode(line)
            except EventError as error:
                yield Bad(f"{name}:{number}: {error}")


def send_file(client: "redis.Redis", path: Path, *, skip_bad: bool) -> tuple[int, list[Bad]]:
    """Send the events of a file of JSON lines; returns how many were sent, and the bad lines.

    Every line is looked at first. Nothing is sent where one is bad, or, with `skip_bad`, the good ones are.
    """
    lines = path.read_bytes().splitlines()
    found = list(parsed(lines, str(path)))
    events = [line for line in found if not isinstance(line, Bad)]
    bad = [line for line in found if isinstance(line, Bad)]
    if bad and not skip_bad:
        return 0, bad
    send(client, _shown(events))
    return len(events), bad


def send_stream(client: "redis.Redis", lines: BinaryIO) -> Iterator[Bad | None]:
    """Send each line as it comes; yields None for one that was sent, else what is wrong with it."""
    for line in parsed(lines, "-"):
        if isinstance(line, Bad):
            yield line
        else:
            send(client, [line])
            yield None


def main(arguments: list[str] | None = None) -> int:
    """Exit 0 when all was sent, 1 where lines were bad, 2 where file, settings or Redis cannot be used."""
    parser = argparse.ArgumentParser(
        prog="python -m orchestration.features.live.send",
        description="Send events, one JSON document a line, to the updater of the online store.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "file", metavar="FILE", help="JSON lines; - reads standard input and sends each line as it comes"
    )
    parser.add_argument("--skip-bad", action="store_true", help="send the good lines of a file that has bad ones")
    given = parser.parse_args(arguments)
    try:
        with redis.Redis.from_url(Settings.load().redis_url) as client:
            client.ping()
            if given.file == "-":
                return _from_stdin(client)
            return _from_file(client, Path(given.file), skip_bad=given.skip_bad)
    except (OSError, ValueError, redis.RedisError) as error:
        print(f"cannot send: {error}", file=sys.stderr)
        return 2


def _from_file(client: "redis.Redis", path: Path, *, skip_bad: bool) -> int:
    sent, bad = send_file(client, path, skip_bad=skip_bad)
    for line in bad:
        print(line, file=sys.stderr)
    if bad and not skip_bad:
        print(f"nothing was sent: {len(bad)} bad lines; repair them, or --skip-bad", file=sys.stderr)
    else:
        print(f"{sent} events sent" + (f", {len(bad)} bad lines skipped" if bad else ""))
    return 1 if bad else 0


def _from_stdin(client: "redis.Redis") -> int:
    sent = bad = 0
    for wrong in send_stream(client, sys.stdin.buffer):
        if wrong is None:
            sent += 1
        else:
            bad += 1
            print(wrong, file=sys.stderr, flush=True)
    print(f"{sent} events sent" + (f", {bad} bad lines" if bad else ""))
    return 1 if bad else 0


def _shown(events: list[Event]) -> Iterable[Event]:
    """The events, under a progress bar where somebody looks."""
    from rich.console import Console
    from rich.progress import track

    console = Console(stderr=True)
    return track(events, "events", console=console, disable=not console.is_terminal)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:  # whoever read our output left
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
