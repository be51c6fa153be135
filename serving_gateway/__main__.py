"""python -m serving_gateway: run one gateway process."""

import argparse
import asyncio
import logging
import os
import signal
import sys

import uvloop

from serving_gateway.gateway import Gateway
from serving_gateway.log.spool import SpoolInUseError
from serving_gateway.settings import Settings, SettingsError
from serving_gateway.transport.server import CannotListenError


def main() -> int:
    """Run until SIGTERM or SIGINT, which drain. Returns the exit code."""
    argparse.ArgumentParser(
        prog="python -m serving_gateway",
        description="Answers POST /predict by the models that the rollout state names; GET /health /ready /metrics /rollout.",
        epilog="environment:\n" + _settings_text(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    ).parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    try:
        settings = Settings.load(os.environ)
        uvloop.run(_serve(settings))
    except SettingsError as error:
        print(f"serving_gateway: {error}", file=sys.stderr)
        return 2
    except (CannotListenError, SpoolInUseError) as error:
        print(f"serving_gateway: {error}", file=sys.stderr)
        return 1
    return 0


async def _serve(settings: Settings) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    await Gateway(settings).run(stop)


def _settings_text() -> str:
    width = max(len(variable) for variable, _, _ in Settings.table())
    return "\n".join(f"  {variable:<{width}}  {doc} [{default}]" for variable, default, doc in Settings.table())


if __name__ == "__main__":
    sys.exit(main())
