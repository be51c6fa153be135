"""python -m observability.grafana: write the dashboards' JSON, and their page of the docs."""

import argparse
import sys
from pathlib import Path

from observability.grafana.boards import BOARDS
from observability.grafana.document import document
from observability.grafana.page import page

ROOT = Path(__file__).resolve().parents[2]
FOLDER = Path(__file__).parent / "dashboards"
PAGE = ROOT / "docs" / "dashboards.md"


def main(arguments: list[str] | None = None) -> int:
    """Write the files. Returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m observability.grafana",
        description="Write the dashboards for Grafana and docs/dashboards.md; run it after a board has changed.",
    )
    parser.add_argument(
        "--folder", type=Path, default=FOLDER, help="where the JSON goes [observability/grafana/dashboards]"
    )
    parser.add_argument("--page", type=Path, default=PAGE, help="the page [docs/dashboards.md]")
    options = parser.parse_args(arguments)
    options.folder.mkdir(parents=True, exist_ok=True)
    for board in BOARDS:
        path = options.folder / f"{board.uid}.json"
        path.write_text(document(board))
        print(path)
    options.page.write_text(page(BOARDS))
    print(options.page)
    return 0


if __name__ == "__main__":
    sys.exit(main())
