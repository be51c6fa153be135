"""A measurement in a process of its own: its imports, memory and threads are not the next one's."""

import multiprocessing
import os
import signal
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

STOP_S = 20.0


def alone(function: Callable[..., Any], *arguments: Any) -> Any:
    """What the function returns in a fresh process, which is gone afterwards whatever happens.

    Raises RuntimeError with what the function raised, or where its process died: the kernel kills what takes too much
    memory.
    """
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe(duplex=False)
    process = context.Process(target=_answer, args=(there, function, arguments))
    # A terminal's Ctrl-C goes to the whole group: this process alone takes it, and stops the other below.
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        process.start()
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    there.close()
    try:
        returned, found = here.recv()
        process.join(STOP_S)
    except EOFError:
        process.join()
        raise RuntimeError(f"its process ended with {process.exitcode} before it had a figure") from None
    finally:
        _stop(process)
        here.close()
    if not returned:
        raise RuntimeError(found)
    return found


def _answer(there: Connection, function: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
    signal.signal(signal.SIGTERM, _interrupted)
    with Path(os.devnull).open("w") as nowhere:  # Feast, ibis and DuckDB print their progress; failures are told below
        os.dup2(nowhere.fileno(), 1)
        os.dup2(nowhere.fileno(), 2)
    try:
        answer = (True, function(*arguments))
    except KeyboardInterrupt:
        return
    except Exception as error:  # noqa: BLE001  told to whoever asked
        answer = (False, f"{type(error).__name__}: {error}")
    there.send(answer)


def _interrupted(*_: object) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # what was started is being stopped
    raise KeyboardInterrupt


def _stop(process: Any) -> None:
    if process.is_alive():
        process.terminate()
        process.join(STOP_S)
    if process.is_alive():
        process.kill()
        process.join()
