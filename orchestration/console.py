"""One console for the tables that commands print."""

import os
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

WIDTH = 160


def table_console() -> "Console":
    """As wide as the terminal; WIDTH columns in a pipe or a log, where rich would fold every table to 80."""
    from rich.console import Console

    measured = sys.stdout.isatty() or "COLUMNS" in os.environ
    return Console(highlight=False, width=None if measured else WIDTH)
