"""A headless Chromium that a test drives: over its debugging pipe, so that no port and no further package is needed."""

import base64
import json
import os
import select
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

FLAGS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--hide-scrollbars", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage", "--remote-debugging-pipe",
]  # fmt: skip
ANSWER_S = 30.0


def chromium() -> str | None:
    """The program, where it is installed."""
    return shutil.which("chromium")


class Tab:
    """One page. `complaints` holds what its console said of errors, and what its policy refused."""

    def __init__(self, browser: "_Pipe", size: tuple[int, int], *, dark: bool, scale: int) -> None:
        self._browser = browser
        target = browser.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = browser.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        self._size, self._scale = size, scale
        self.complaints = browser.complaints.setdefault(self._session, [])
        self._resize(*size)
        theme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self._call("Emulation.setEmulatedMedia", features=[theme])
        for domain in ("Page", "Runtime", "Log"):
            self._call(f"{domain}.enable")

    def open(self, url: str) -> None:
        """Go there, and wait until the page is loaded."""
        self._call("Page.navigate", url=url)
        self.wait("document.readyState === 'complete' && location.href !== 'about:blank'")

    def evaluate(self, expression: str) -> Any:
        """The value of a JavaScript expression, as JSON carries it; a promise is awaited."""
        found = self._call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in found:
            raise AssertionError(found["exceptionDetails"])
        return found["result"].get("value")

    def text(self, selector: str) -> str:
        """What a reader sees of an element."""
        found: str = self.evaluate(f"document.querySelector({json.dumps(selector)})?.innerText ?? ''")
        return found

    def click(self, selector: str) -> None:
        """Press it."""
        self.evaluate(f"document.querySelector({json.dumps(selector)}).click()")

    def fill(self, selector: str, text: str) -> None:
        """Write `text` into a field."""
        self.evaluate(f"document.querySelector({json.dumps(selector)}).value = {json.dumps(text)}")

    def wait(self, expression: str, *, timeout_s: float = 15.0) -> None:
        """Until `expression` is true; else fail, with what the page says."""
        deadline = time.monotonic() + timeout_s
        while not self.evaluate(f"Boolean({expression})"):
            assert time.monotonic() < deadline, f"{expression} did not come true; the page says:\n{self.text('html')}"
            time.sleep(0.05)

    def picture(self, path: Path) -> None:
        """A PNG of the whole page, however tall."""
        height = self.evaluate("document.documentElement.scrollHeight")
        self._resize(self._size[0], max(height, self._size[1]))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(base64.b64decode(self._call("Page.captureScreenshot", format="png")["data"]))
        self._resize(*self._size)

    def _resize(self, width: int, height: int) -> None:
        self._call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=self._scale,
            mobile=width < 600,
        )

    def _call(self, method: str, **parameters: object) -> dict[str, Any]:
        return self._browser.call(method, self._session, **parameters)


class Browser:
    """Opens tabs."""

    def __init__(self, pipe: "_Pipe") -> None:
        self._pipe = pipe

    def tab(self, size: tuple[int, int] = (1200, 900), *, dark: bool = False, scale: int = 1) -> Tab:
        """A new page of this size in CSS pixels, in the light or the dark theme."""
        return Tab(self._pipe, size, dark=dark, scale=scale)


@contextmanager
def browser(profile: Path) -> Iterator[Browser]:
    """Chromium with its profile in a folder, until the block ends."""
    program = chromium()
    assert program is not None, "no chromium: as root, apt-get install chromium"
    (read_there, write_here), (read_here, write_there) = os.pipe(), os.pipe()
    shell = f'exec "$0" "$@" 3<&{read_there} 4>&{write_there}'
    process = subprocess.Popen(
        ["bash", "-c", shell, program, *FLAGS, f"--user-data-dir={profile}"],
        pass_fds=(read_there, write_there),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    os.close(read_there)
    os.close(write_there)
    try:
        yield Browser(_Pipe(read_here, write_here))
    finally:
        os.close(write_here)  # it ends with its pipe
        try:
            process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        os.close(read_here)


class _Pipe:
    """Chromium's debugging protocol: JSON messages, each ended by a zero byte."""

    def __init__(self, read: int, write: int) -> None:
        self._read, self._write = read, write
        self._buffer = b""
        self._number = 0
        self.complaints: dict[str, list[str]] = {}

    def call(self, method: str, session: str | None = None, **parameters: object) -> dict[str, Any]:
        self._number += 1
        message: dict[str, Any] = {"id": self._number, "method": method, "params": parameters}
        if session is not None:
            message["sessionId"] = session
        os.write(self._write, json.dumps(message).encode() + b"\0")
        while (answer := self._next()).get("id") != self._number:
            self._hear(answer)
        if "error" in answer:
            raise AssertionError(f"{method}: {answer['error']}")
        found: dict[str, Any] = answer["result"]
        return found

    def _hear(self, event: dict[str, Any]) -> None:
        complaints = self.complaints.setdefault(event.get("sessionId", ""), [])
        if event.get("method") == "Runtime.exceptionThrown":
            complaints.append(event["params"]["exceptionDetails"]["exception"].get("description", "?"))
        elif event.get("method") == "Log.entryAdded" and event["params"]["entry"]["level"] == "error":
            complaints.append(event["params"]["entry"]["text"])

    def _next(self) -> dict[str, Any]:
        while b"\0" not in self._buffer:
            ready, _, _ = select.select([self._read], [], [], ANSWER_S)
            assert ready, "Chromium does not answer"
            data = os.read(self._read, 1 << 20)
            assert data, "Chromium is gone"
            self._buffer += data
        message, _, self._buffer = self._buffer.partition(b"\0")
        found: dict[str, Any] = json.loads(message)
        return found
