"""In which format PLATFORM_HOME is written, and by which versions: looked at before a start touches anything.

A home from before this file was written is of format 1.
"""

import os
import re
from collections.abc import Callable, Mapping
from importlib.metadata import version
from pathlib import Path
from types import MappingProxyType

import msgspec
from msgspec import Struct

from orchestration.redis_programs import server_version

FORMAT = 1
FILE = "format.json"
# Stands in a home from the first byte of a restore until its last.
RESTORING = "restore.incomplete"
# From format n to n + 1, in place. An interrupted migration is run again: it has to bear that.
Migrations = Mapping[int, Callable[[Path], None]]
MIGRATIONS: Migrations = MappingProxyType({})

_PACKAGES = ("dagster", "mlflow", "feast")
# What they write carries no version that could be compared: what a newer minor version wrote is not read by an older one.
# Dagster's and MLflow's databases say their revision (schema_revisions.py).
_UNSTAMPED = ("feast", "redis")


class HomeFormat(Struct, frozen=True, kw_only=True):
    """`format` of the files under PLATFORM_HOME; `versions` of what wrote into it last, by name."""

    format: int
    versions: dict[str, str] = {}


class HomeFormatError(Exception):
    """This platform cannot work with this home; the message says what to do."""


def installed_versions() -> dict[str, str]:
    """Versions of what owns a format of its own: Dagster, MLflow, Feast, and Redis where it is installed."""
    found = {package: version(package) for package in _PACKAGES}
    redis = server_version()
    return found | ({"redis": redis} if redis else {})


def read_format(home: Path) -> HomeFormat | None:
    """What the home says; None where it says nothing. Raises HomeFormatError naming the file and the field."""
    path = home / FILE
    try:
        return msgspec.json.decode(path.read_bytes(), type=HomeFormat) if path.exists() else None
    except (OSError, UnicodeDecodeError, msgspec.MsgspecError) as error:
        raise HomeFormatError(f"{path} cannot be read: {error}. Bring back a backup, or the file") from error


def require_known(found: HomeFormat, installed: Mapping[str, str], *, of: str) -> None:
    """Raise HomeFormatError where `found` is from a newer platform than this one. `of` names what is of that format."""
    if found.format > FORMAT:
        raise HomeFormatError(
            f"{of} is of format {found.format}, and this platform knows formats up to {FORMAT}: it was written by a newer "
            "one. Start it with that version, or bring back a backup from before"
        )
    for name in _UNSTAMPED:
        theirs, ours = found.versions.get(name), installed.get(name)
        if theirs and ours and _minor(theirs) > _minor(ours):
            raise HomeFormatError(
                f"{of} was written with {name} {theirs}, and {ours} is installed, which may not read it: "
                f"install {name} {theirs} or newer"
            )


def bring_up_to_date(home: Path, installed: Mapping[str, str], migrations: Migrations = MIGRATIONS) -> None:
    """Check the home's format, migrate an older one step by step, and write down what works on it from now on.

    Raises:
        HomeFormatError: it is newer, or older without a way, or a restore into it did not end.
        OSError: it cannot be written.
    """
    if (home / RESTORING).exists():
        raise HomeFormatError(
            f"a restore into {home} was interrupted ({RESTORING} stands in it): empty the folder and restore again"
        )
    found = read_format(home) or HomeFormat(format=1)
    require_known(found, installed, of=str(home))
    for number in range(found.format, FORMAT):
        if number not in migrations:
            raise HomeFormatError(
                f"{home} is of format {found.format}, and nothing here brings format {number} to {number + 1}: start it "
                "once with a version of the platform between the two, or begin with an empty PLATFORM_HOME"
            )
        migrations[number](home)
        _write(home, HomeFormat(format=number + 1, versions=found.versions))
    wanted = HomeFormat(format=FORMAT, versions=dict(installed))
    if wanted != read_format(home):
        _write(home, wanted)


def _write(home: Path, document: HomeFormat) -> None:
    staged = home / f"{FILE}.new"
    with staged.open("wb") as file:
        file.write(msgspec.json.format(msgspec.json.encode(document), indent=2) + b"\n")
        file.flush()
        os.fsync(file.fileno())
    staged.replace(home / FILE)


def _minor(text: str) -> tuple[int, ...]:
    """Major and minor number of a version."""
    return tuple(int(part) for part in re.findall(r"\d+", text)[:2])
