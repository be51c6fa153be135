"""Telling the story: a line a step, live figures where there is a terminal, a machine-readable summary at the end."""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape

Live = Callable[[str], None]


class StepFailedError(Exception):
    """A step of the demo did not happen; the message says what was seen instead."""


class Narrator:
    """Prints the steps and keeps what `summary.json` holds."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.figures: dict[str, Any] = {"april_auc": None, "time_to_zero_seconds": None, "user_visible_errors": None}
        self.told = False  # the whole story
        self._steps: list[dict[str, Any]] = []
        self._began = time.monotonic()

    @contextmanager
    def step(self, name: str, title: str) -> Iterator[Live]:
        """One step; yields a function that shows a live line under its title. A step that raises is told as failed."""
        self.console.print(f"\n[bold]{len(self._steps) + 1}. {title}[/]")
        began = time.monotonic()
        ok = False
        try:
            with self.console.status("") as status:
                yield lambda text: status.update(f"   {escape(text)}  [dim]{time.monotonic() - began:.0f} s[/]")
            ok = True
        finally:
            seconds = round(time.monotonic() - began, 2)
            self._steps.append({"name": name, "ok": ok, "seconds": seconds})
            self.console.print(f"   [{'green]done' if ok else 'red]failed'}[/] in {seconds:.1f} s")

    def tell(self, text: str) -> None:
        """A line of the story, in plain words."""
        self.console.print(f"   {escape(text)}")

    @property
    def seconds(self) -> float:
        """Since the story began."""
        return time.monotonic() - self._began

    def write_summary(self, path: Path) -> None:
        """Write the summary of what happened so far, replaced in one step."""
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_suffix(".tmp")
        draft.write_text(
            json.dumps({"steps": self._steps, **self.figures, "seconds": round(self.seconds, 2)}, indent=2)
        )
        draft.replace(path)
