"""python -m serving_gateway.workers: one worker, started by the parent that `python -m serving_gateway` is."""

import asyncio
import dataclasses
import gc
import os
import signal
import socket
import sys
from contextlib import suppress

import msgspec
import uvloop

from serving_gateway.gateway import Gateway
from serving_gateway.instruments.slots import SlotFile
from serving_gateway.log.spool import SpoolInUseError
from serving_gateway.settings import Settings, SettingsError
from serving_gateway.tracing.logs import configure
from serving_gateway.workers.identity import Inherited, Worker, worker_id
from serving_gateway.workers.line import READY

STOP = {signal.SIGTERM, signal.SIGINT}


def main() -> int:
    """Answer until SIGTERM or SIGINT, which drain, or until the parent is gone. Returns the exit code."""
    inherited = msgspec.json.decode(sys.argv[1], type=Inherited)
    line = socket.socket(fileno=inherited.line)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # a terminal's, or the parent's to understand
    try:
        settings = Settings.load(os.environ)
        settings = dataclasses.replace(settings, gateway_id=worker_id(settings.gateway_id, inherited.index))
        configure(settings.log_level, settings.gateway_id)
        uvloop.run(_serve(settings, inherited, line))
    except (SettingsError, SpoolInUseError) as error:
        _say(line, str(error).encode())
        return 2 if isinstance(error, SettingsError) else 1
    return 0


async def _serve(settings: Settings, inherited: Inherited, line: socket.socket) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    gateway = Gateway(
        settings,
        worker=Worker(inherited.index, inherited.of),
        listener=socket.socket(fileno=inherited.listener),
        files=[SlotFile(file) for file in inherited.metrics],
    )

    def orphaned() -> None:
        """Nobody will start another one beside us, and whoever starts a gateway now needs its port and its spool."""
        loop.remove_reader(line)
        gateway.grace_s = 0.0
        stop.set()

    for number in STOP:
        loop.add_signal_handler(number, stop.set)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, STOP)  # the parent blocked them until there was a handler
    loop.add_reader(line, orphaned)  # the parent never writes: it is readable when the parent has ended

    def ready() -> None:
        _settle_memory()
        _say(line, READY)

    await gateway.run(stop, on_ready=ready)


def _settle_memory() -> None:
    """Have the collector leave alone what stays for life, and look less often: it cost a tenth of every request."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 10, 50)


def _say(line: socket.socket, words: bytes) -> None:
    with suppress(OSError):  # the parent has ended: the loop will see it
        line.send(words)


if __name__ == "__main__":
    sys.exit(main())
