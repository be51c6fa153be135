"""python -m serving_gateway.openapi: write docs/api.md."""

import argparse
import sys
from pathlib import Path

from serving_gateway.openapi.reference import reference

PAGE = Path(__file__).resolve().parents[2] / "docs" / "api.md"


def main(arguments: list[str] | None = None) -> int:
    """Write the page. Returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m serving_gateway.openapi",
        description="Write the API reference; run it after a route or a type of it changed.",
    )
    parser.add_argument("--page", type=Path, default=PAGE, help="where to [docs/api.md]")
    page: Path = parser.parse_args(arguments).page
    page.write_text(reference())
    print(page)
    return 0


if __name__ == "__main__":
    sys.exit(main())
