"""Pictures of a running platform: `make screenshots`, or `python -m tests.e2e.screenshots --folder docs/images`.

Needs Chromium. Partitioned assets are green once every partition is in: for an all-green graph, ingest the whole year.
The gateway's page shows traffic where there is some: let a replay run meanwhile.
"""

import argparse
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import httpx

from orchestration.settings import Settings
from tests.browser import browser
from tests.servers import ROOT

GROUPS = ("ingestion", "features", "models", "serving", "rollout", "drift", "health")
# Quiet, and without a sandbox, which needs rights that a container lacks. Virtual time ends when the page is at rest.
FLAGS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--hide-scrollbars",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--virtual-time-budget=15000",
]  # fmt: skip
TIMEOUT_S = 120
GATEWAY_WIDTH = 1200
WATCHED_S = 20  # of traffic that the gateway's page shows


MISSING = "no chromium: as root, apt-get install chromium"


class NoPictureError(Exception):
    """Chromium is missing, failed, or drew nothing; the message says which."""


@dataclass(frozen=True)
class Page:
    """A page to photograph: its path below the webserver, and the window in pixels."""

    path: str
    size: tuple[int, int]


PAGES = {
    "asset-graph": Page(
        f"/asset-groups?expanded={quote(','.join(f'global@global:{g}' for g in GROUPS))}", (2700, 2200)
    ),
    "canary-verdict": Page("/assets/canary_verdict?view=checks", (1600, 900)),
    "canary-verdict-lineage": Page("/assets/canary_verdict?view=lineage&lineageScope=upstream", (1700, 760)),
    "runs": Page("/runs", (1600, 900)),
}


def photograph(url: str, size: tuple[int, int], picture: Path) -> None:
    """Write a PNG of `url` as a window of `size` shows it. Raises NoPictureError."""
    picture.parent.mkdir(parents=True, exist_ok=True)
    picture.unlink(missing_ok=True)
    _chromium(url, f"--window-size={size[0]},{size[1]}", f"--screenshot={picture.resolve()}")
    if not picture.exists():
        raise NoPictureError(f"Chromium drew nothing of {url}")


def photograph_gateway(url: str, picture: Path, *, watched_s: float = WATCHED_S) -> None:
    """Write a PNG of the gateway's page after it has watched the traffic for a while. Raises NoPictureError."""
    if shutil.which("chromium") is None:
        raise NoPictureError(MISSING)
    with tempfile.TemporaryDirectory() as profile, browser(Path(profile)) as chrome:
        tab = chrome.tab((GATEWAY_WIDTH, 800))
        try:
            tab.open(f"{url}/")
            tab.wait(f"window_.seconds >= {watched_s}", timeout_s=TIMEOUT_S)
            tab.picture(picture)
        except AssertionError as error:
            raise NoPictureError(f"the gateway's page does not come up: {error}") from error


def text_of(url: str, size: tuple[int, int]) -> str:
    """The page's document once it is at rest, as HTML. Raises NoPictureError."""
    return _chromium(url, f"--window-size={size[0]},{size[1]}", "--dump-dom")


def _chromium(url: str, *arguments: str) -> str:
    program = shutil.which("chromium")
    if program is None:
        raise NoPictureError(MISSING)
    with tempfile.TemporaryDirectory() as profile:
        command = [program, *FLAGS, f"--user-data-dir={profile}", *arguments, url]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=TIMEOUT_S)
    if done.returncode:
        raise NoPictureError(f"Chromium ended with {done.returncode}: {done.stderr.strip()[-300:]}")
    return done.stdout


def main() -> int:
    """Exit 0 when every picture was taken, 1 otherwise."""
    parser = argparse.ArgumentParser(prog="python -m tests.e2e.screenshots", description=__doc__)
    parser.add_argument("--folder", type=Path, default=ROOT / "docs" / "images", help="where the PNGs go")
    folder = parser.parse_args().folder
    settings = Settings.load()
    base = settings.dagster_url
    try:
        httpx.get(f"{base}/server_info", timeout=5, trust_env=False).raise_for_status()
        for name, page in PAGES.items():
            picture = folder / f"{name}.png"
            photograph(base + page.path, page.size, picture)
            print(f"{picture}  {picture.stat().st_size // 1024} kB")
        photograph_gateway(settings.gateway_url, folder / "gateway.png")
        print(folder / "gateway.png")
    except httpx.HTTPError as error:
        print(f"Dagster does not answer at {base}: start the platform with `make up` ({error})", file=sys.stderr)
        return 1
    except (NoPictureError, subprocess.TimeoutExpired, OSError) as error:
        print(f"no picture: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
