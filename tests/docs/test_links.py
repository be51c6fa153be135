from pathlib import Path

import pytest

from tests.docs.markdown import PAGES, anchors, links, prose
from tests.docs.runbook import OLDER
from tests.servers import ROOT

LOCAL = [(page, target) for page in PAGES for target in links(page) if "://" not in target]


@pytest.mark.parametrize(("page", "target"), LOCAL, ids=lambda value: getattr(value, "name", value))
def test_a_relative_link_resolves(page: Path, target: str) -> None:
    path, _, anchor = target.partition("#")
    found = (page.parent / path).resolve() if path else page
    assert found.exists()
    assert not anchor or anchor in anchors(found)


def test_links_leave_loopback_nowhere() -> None:
    """The pages are whole without a network."""
    away = [link for page in PAGES for link in links(page) if "://" in link and "://127.0.0.1" not in link]
    assert away == []


def test_every_page_is_reached_from_the_readme() -> None:
    reached = {(page.parent / target).resolve() for page, target in LOCAL}
    assert {page for page in PAGES if page.name != "README.md"} <= reached


def test_folders_that_the_readme_lists_are_there() -> None:
    from tests.docs.markdown import README, table

    named = [name for name in table(README, "Where things are") if name != ".local/"]
    assert len(named) > 5
    assert [name for name in named if not (ROOT / name).is_dir()] == []
    top = {path.name for path in ROOT.iterdir() if (path / "__init__.py").exists()}
    assert top <= {name.strip("/") for name in named}


def test_files_that_are_named_exist() -> None:
    """`tests/e2e/test_loop.py` and its like, in backticks."""
    import re

    named = {
        name for page in PAGES for name in re.findall(r"`([a-z_]+(?:/[\w.]+)*\.(?:py|yaml|lock|conf))`", prose(page))
    }
    named -= {row.strip("/") for row in OLDER}  # of another house
    known = [
        path.relative_to(ROOT).as_posix()
        for folder in ("orchestration", "serving_gateway", "triton_models", "tests")
        for path in (ROOT / folder).rglob("*.py")
    ]
    known += [path.name for path in ROOT.iterdir()] + [
        f"triton_models/{path.name}" for path in (ROOT / "triton_models").iterdir()
    ]
    assert [
        name for name in sorted(named) if not any(path == name or path.endswith(f"/{name}") for path in known)
    ] == []
