"""`python -m orchestration.container SECRETS`: fill the containers' volumes, at every start, before any other service of ours."""

import argparse
import shutil
import stat
import sys
from pathlib import Path

from orchestration.embedded.alerting import SHIPPED, AlertingError, alertmanager_configuration
from orchestration.settings import ROOT, Settings

_STORAGE = Path(__file__).with_name("storage.yaml")
_DAGSTER = ROOT / "orchestration" / "embedded" / "dagster.yaml"


class SecretError(Exception):
    """A secret cannot be read by who needs it; the message names the file and the cure."""


def require_secrets(folder: Path) -> None:
    """Raise SecretError naming the first file of `folder` that is not readable by all: the services are other users."""
    for secret in sorted(folder.iterdir()):
        if not secret.is_file():
            raise SecretError(f"{secret.name} is not a file: does the path that it comes from exist?")
        if not secret.stat().st_mode & stat.S_IROTH:
            raise SecretError(
                f"the file of {secret.name} must be readable by the containers' users: chmod a+r, in a folder that is "
                "closed to others"
            )


def fill(settings: Settings) -> None:
    """Make the folders of the volumes and write the configurations that depend on the settings.

    Dagster's is the embedded profile's with its storage in PostgreSQL. Alertmanager's is the shipped one without whoever
    has no secret.

    Raises:
        AlertingError: a secret that the settings name is not there.
        OSError: a volume cannot be written.
    """
    import yaml

    for needed in ("dagster", "feast", "lake", "alertmanager", "reports/drift", "triton/repository"):
        (settings.home / needed).mkdir(parents=True, exist_ok=True)
    (settings.home / "dagster" / "dagster.yaml").write_text(_DAGSTER.read_text() + _STORAGE.read_text())
    folder = settings.home / "alertmanager"
    told = alertmanager_configuration(settings, slack=settings.slack_webhook_url_file)
    (folder / "alertmanager.yml").write_text(yaml.safe_dump(told, sort_keys=False))
    shutil.copytree(SHIPPED / "alertmanager" / "templates", folder / "templates", dirs_exist_ok=True)


def main(arguments: list[str] | None = None) -> int:
    """Exit 1 where a secret cannot be used or a volume not be written, 2 where the settings are bad."""
    parser = argparse.ArgumentParser(prog="python -m orchestration.container", description=(__doc__ or "").strip())
    parser.add_argument("secrets", type=Path, help="the folder where the secrets are mounted")
    folder = parser.parse_args(arguments).secrets
    try:
        settings = Settings.load()
    except ValueError as error:
        print(f"setup: {error}", file=sys.stderr)
        return 2
    try:
        require_secrets(folder)
        fill(settings)
    except (SecretError, AlertingError, OSError) as error:
        print(f"setup: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
