"""Keeps the workers running: starts them, replaces those that die, drains them all, or one after another.

It answers nothing, so there is little in it to fail. It holds what must outlive a worker: the listening socket with the
connections that nobody has accepted yet, and the memory that the workers count in.
"""

import logging
import selectors
import signal
import socket
import sys
import time
from collections import deque

from serving_gateway.instruments.slots import SlotFile, anonymous_file
from serving_gateway.workers import signals
from serving_gateway.workers.life import Life
from serving_gateway.workers.restart import LONG_LIFE_S, delay_s

TICK_S = 0.1
_log = logging.getLogger(__name__)


class Parent:
    """Of `count` workers on `listener`. There is an index more than workers, so that a successor starts beside the old."""

    def __init__(self, count: int, listener: socket.socket) -> None:
        self._count = count
        self._listener = listener
        self._metrics = [anonymous_file(f"gateway-metrics-{index}") for index in range(count + 1)]
        self._slots = [SlotFile(file) for file in self._metrics]
        self._lives: list[Life] = []
        self._due: dict[int, float] = {}  # index -> when its next life begins
        self._short_lives: dict[int, int] = {}
        self._outdated: deque[Life] = deque()
        self._successor: Life | None = None  # of the first of the outdated
        self._begun = False  # all were ready once: from now on a worker that ends is replaced
        self._stopping = False
        self._code = 0
        self._terminal = signals.has_terminal()
        self._on_terminal = signals.on_terminal()
        self._selector = selectors.DefaultSelector()

    def run(self) -> int:
        """Until told to stop, or until the first workers cannot start. Returns the exit code."""
        told = signals.as_bytes()
        self._selector.register(told, selectors.EVENT_READ)
        self._due = dict.fromkeys(range(self._count), 0.0)
        self._start_due()
        while self._lives or self._due:
            waits = self._due or any(life.stopping or not life.ready for life in self._lives)
            for key, _ in self._selector.select(TICK_S if waits else None):
                if key.data is None:
                    self._obey(told.recv(64))
                else:
                    self._hear(key.data)
            self._kill_overdue()
            self._start_due()
            self._roll()
        return self._code

    def _obey(self, numbers: bytes) -> None:
        hung_up = self._terminal and not signals.has_terminal()
        if hung_up:
            signals.discard(self._on_terminal)
        if hung_up or {signal.SIGTERM, signal.SIGINT} & set(numbers):
            _log.info("%s: draining", "the terminal was closed" if hung_up else signal.Signals(numbers[-1]).name)
            self._stop()
        elif not self._stopping:
            _log.info("SIGHUP: the workers are replaced one by one")
            first = [self._outdated[0]] if self._successor else []
            self._outdated = deque(first + [life for life in self._lives if not life.stopping and life not in first])

    def _stop(self) -> None:
        if self._stopping:
            return
        self._stopping = True
        self._due.clear()
        self._outdated.clear()
        # Who connects from here on is not made to believe in us; who has connected is answered by the workers.
        self._listener.listen(0)
        self._listener.close()
        for life in self._lives:
            life.stop()

    def _start(self, index: int) -> Life | None:
        try:
            life = Life(index, self._count, self._listener, self._metrics)
        except OSError as error:
            _log.error("worker %d cannot be started: %s", index, error)
            self._again(index, lived_s=0.0)
            return None
        self._lives.append(life)
        self._selector.register(life.line, selectors.EVENT_READ, life)
        return life

    def _start_due(self) -> None:
        now = time.monotonic()
        for index in [index for index, at in self._due.items() if at <= now]:
            del self._due[index]
            self._start(index)

    def _hear(self, life: Life) -> None:
        was_ready = life.ready
        if not life.hear():
            self._ended(life)
        elif life.ready and not was_ready:
            _log.info("worker %d (pid %d) is ready", life.index, life.process.pid)
            self._begun = self._begun or (len(self._lives) == self._count and all(one.ready for one in self._lives))
            if life is self._successor:
                self._successor = None
                old = self._outdated.popleft()
                if old in self._lives and not old.stopping:
                    old.stop()

    def _ended(self, life: Life) -> None:
        self._selector.unregister(life.line)
        self._lives.remove(life)
        how = life.end()
        self._slots[life.index].load = 0  # what it counted stays
        if not (self._begun or self._stopping):
            print(f"serving_gateway: {how}", file=sys.stderr)
            self._code = max(1, life.process.returncode)
            self._stop()
            return
        log = _log.info if life.stopping else _log.error
        log("worker %d (pid %d) ended after %.1f s: %s", life.index, life.process.pid, life.age_s, how)
        if life is self._successor:
            _log.error("a successor did not start: the rolling restart ends here, the others serve on")
            self._successor = None
            self._outdated.clear()
        if len(self._due) + sum(not one.stopping for one in self._lives) < self._count:
            self._again(life.index, lived_s=life.age_s)

    def _again(self, index: int, *, lived_s: float) -> None:
        """Start it again, later where it never lives long."""
        if not self._stopping:
            self._short_lives[index] = 0 if lived_s >= LONG_LIFE_S else self._short_lives.get(index, 0) + 1
            self._due[index] = time.monotonic() + delay_s(self._short_lives[index])

    def _kill_overdue(self) -> None:
        for life in self._lives:
            why = life.kill_if_overdue()
            if why:
                _log.error("worker %d (pid %d) is killed: %s", life.index, life.process.pid, why)

    def _roll(self) -> None:
        """Start the next successor, once everybody else is settled."""
        if self._successor or self._due or any(life.stopping or not life.ready for life in self._lives):
            return
        while self._outdated and self._outdated[0] not in self._lives:
            self._outdated.popleft()
        if self._outdated:
            free = set(range(self._count + 1)) - {life.index for life in self._lives}
            index = min(free)
            self._successor = self._start(index)
            if self._successor is None:  # as one that never gets ready: the others serve on
                self._due.pop(index, None)
                self._outdated.clear()
