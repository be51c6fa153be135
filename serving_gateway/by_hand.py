"""What the commands that change the rollout by hand share: who asked, and how a refusal is said."""

import getpass
import os
import sys


def actor() -> str:
    """The actor of the audit: `cli:<user>`."""
    try:
        return f"cli:{getpass.getuser()}"
    except (KeyError, OSError):  # a container's user without a name
        return f"cli:{os.getuid()}"


def refuse(command: str, message: str, *, code: int = 1) -> int:
    """Say on standard error why `command` did nothing; returns the exit code."""
    print(f"{command}: {message}", file=sys.stderr)
    return code
