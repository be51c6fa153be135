"""python -m serving_gateway: a small parent that holds the listening socket and keeps GATEWAY_WORKERS workers running."""

import argparse
import os
import sys

from serving_gateway.settings import Settings, SettingsError
from serving_gateway.tracing.logs import configure
from serving_gateway.transport.listening import CannotListenError, listening_socket
from serving_gateway.workers.parent import Parent


def main() -> int:
    """Run until SIGTERM or SIGINT, which drain; SIGHUP replaces the workers one by one. Returns the exit code."""
    argparse.ArgumentParser(
        prog="python -m serving_gateway",
        description="Answers POST /predict by the models that the rollout state names; GET /health /ready /metrics /rollout. "
        "SIGTERM and SIGINT drain and stop it, SIGHUP replaces its worker processes one by one.",
        epilog="environment:\n" + _settings_text(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    ).parse_args()
    try:
        settings = Settings.load(os.environ)
        listener = listening_socket(settings)
    except SettingsError as error:
        print(f"serving_gateway: {error}", file=sys.stderr)
        return 2
    except CannotListenError as error:
        print(f"serving_gateway: {error}", file=sys.stderr)
        return 1
    configure(settings.log_level, settings.gateway_id)
    return Parent(settings.workers, listener).run()


def _settings_text() -> str:
    width = max(len(variable) for variable, _, _ in Settings.table())
    return "\n".join(f"  {variable:<{width}}  {doc} [{default}]" for variable, default, doc in Settings.table())


if __name__ == "__main__":
    sys.exit(main())
