"""What both benchmarks show and ask for in a terminal."""

import argparse
import sys

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

WIDTH = 120  # of tables in a file


def console() -> Console:
    """Standard output, as wide as the terminal is."""
    return Console(width=None if sys.stdout.isatty() else WIDTH)


def progress(on: Console) -> Progress:
    """A bar with what is measured now."""
    columns = (BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), TextColumn("{task.description}"))
    return Progress(*columns, console=on)


def positive(text: str) -> int:
    """An option's whole number above 0."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"a whole number above 0, got {text!r}")
    return int(text)
