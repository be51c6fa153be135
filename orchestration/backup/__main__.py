"""python -m orchestration.backup: make, list, verify and restore backups of a platform's state."""

import argparse
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Column, Table

from orchestration.backup import folder as folders
from orchestration.backup import manifest as manifests
from orchestration.backup.create import create, size_of
from orchestration.backup.manifest import BackupError, Manifest, read_manifest, verify
from orchestration.backup.restore import restore
from orchestration.console import table_console
from orchestration.settings import Settings


def main(arguments: list[str] | None = None) -> int:
    """Exit 0 when it is done, 1 when it is not: the message says why."""
    options = _parser().parse_args(arguments)
    console = Console(highlight=False, soft_wrap=True)
    try:
        settings = Settings.load()
        folder = options.folder or folders.default_folder(settings.home)
        match options.action:
            case "create":
                _create(settings, folder, console)
            case "list":
                _list(folder)
            case "verify":
                _verify(_named(options.backup, folder), console)
            case "restore":
                _restore(_named(options.backup, folder), settings, console)
    except (BackupError, ValueError) as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("Interrupted; a backup under way is gone, a restore under way has to be done again.", file=sys.stderr)
        return 130
    return 0


def _create(settings: Settings, folder: Path, console: Console) -> None:
    with _bar(console, "Backing up", size_of(settings)) as done:
        made = create(settings, folder, done)
    manifest = read_manifest(made)
    console.print(f"{escape(str(made))}: {len(manifest.files)} files, {_size(manifest.bytes)}")
    for path, why in manifest.left_out.items():
        console.print(f"  left out: {escape(path)} ({escape(why)})")


def _list(folder: Path) -> None:
    found = folders.listed(folder)
    if not found:
        print(f"No backups in {folder}.")
        return
    name, home = Column("backup", no_wrap=True), Column("of", overflow="fold")
    table = Table(name, "files", "size", "platform format", home, title=escape(str(folder)))
    for path, manifest in found:
        if isinstance(manifest, Manifest):
            sizes = (str(len(manifest.files)), _size(manifest.bytes), str(manifest.platform))
            table.add_row(path.name, *sizes, escape(manifest.home))
        else:
            table.add_row(path.name, "", "", "", escape(str(manifest)))
    table_console().print(table)


def _verify(backup: Path, console: Console) -> None:
    with _bar(console, "Reading", read_manifest(backup).bytes) as done:
        manifest = verify(backup, done)
    console.print(f"{escape(str(backup))} is whole: {len(manifest.files)} files, {_size(manifest.bytes)}")


def _restore(backup: Path, settings: Settings, console: Console) -> None:
    with _bar(console, "Restoring", 2 * read_manifest(backup).bytes) as done:
        manifest = restore(backup, settings.home, done)
    console.print(
        f"{escape(str(settings.home))} is as it was at {manifest.made_at:%Y-%m-%d %H:%M:%S} UTC. Start it: make up"
    )


def _named(given: str | None, folder: Path) -> Path:
    """A backup by its path or its name in the folder; the newest where none is given."""
    if given is None:
        return folders.newest(folder)
    path = Path(given).expanduser()
    return path.resolve() if path.exists() or "/" in given else folder / given


@contextmanager
def _bar(console: Console, what: str, total: int) -> Iterator[manifests.Progress]:
    """A bar over bytes, on a terminal only."""
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(what, total=total)
        yield lambda path, size: bar.update(task, advance=size, description=f"{what} {escape(path.split('/')[0])}")


def _size(count: int) -> str:
    return f"{count / 1e6:.1f} MB"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m orchestration.backup",
        description="Back up what is under PLATFORM_HOME, while the platform runs or not, and bring it back.",
    )
    actions = parser.add_subparsers(dest="action", required=True)
    create_one = actions.add_parser("create", help="make a backup")
    show = actions.add_parser("list", help="the backups that are there, oldest first")
    check = actions.add_parser("verify", help="read every file of a backup and compare it with the manifest")
    back = actions.add_parser("restore", help="bring a backup back into an empty PLATFORM_HOME")
    check.add_argument("backup", nargs="?", help="its folder, or its name [the newest]")
    back.add_argument("backup", help="its folder, or its name")
    for action in (create_one, show, check, back):
        action.add_argument("--folder", type=Path, help="where backups are kept [PLATFORM_HOME.backups]")
    return parser


if __name__ == "__main__":
    sys.exit(main())
