"""How the gateway's processes log: one JSON object a line, or a readable line where somebody looks on."""

import json
import logging
import sys
import time
from datetime import UTC, datetime

_IDS = ("request_id", "trace_id", "prediction_ids")
LINES_A_SECOND = 100


def configure(level: str, gateway: str) -> None:
    """Log to stderr from `level` on, in the name of `gateway`. Leaves alone what the program around us has set up."""
    readable = f"%(asctime)s %(levelname)s {gateway} %(name)s %(message)s%(ids)s"
    handler = logging.StreamHandler()
    handler.setFormatter(Readable(readable) if sys.stderr.isatty() else JsonLines(gateway))
    logging.basicConfig(level=level, handlers=[handler])


class JsonLines(logging.Formatter):
    """`time` (UTC), `level`, `logger`, `gateway`, `message`; the ids of the request where it is about one; `exception`."""

    def __init__(self, gateway: str) -> None:
        super().__init__()
        self._gateway = gateway

    def format(self, record: logging.LogRecord) -> str:
        """One line of JSON."""
        at = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        line: dict[str, object] = {"time": at, "level": record.levelname, "logger": record.name}
        line |= {"gateway": self._gateway, "message": record.getMessage()} | _ids(record)
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str)  # ASCII: what cannot be encoded is in what callers send, too


class Readable(logging.Formatter):
    """The same for the eye."""

    def format(self, record: logging.LogRecord) -> str:
        """A line of text, and a traceback where there is one."""
        record.ids = "".join(f" {name}={value}" for name, value in _ids(record).items())
        return super().format(record)


class Failures:
    """Logs failed requests with their ids, at most LINES_A_SECOND: a flood of them must not be slowed further by its log."""

    def __init__(self, log: logging.Logger) -> None:
        self._log = log
        self._second = 0
        self._lines = 0
        self._left_out = 0

    def warn(self, message: str, *values: object, **ids: object) -> None:
        """`ids` by their names in the log: request_id, trace_id, prediction_ids. Empty ones are left out."""
        second = int(time.monotonic())
        if second != self._second:
            self._second, self._lines = second, 0
            if self._left_out:
                self._log.warning("%d failed requests more were not logged one by one", self._left_out)
                self._left_out = 0
        if self._lines >= LINES_A_SECOND:
            self._left_out += 1
            return
        self._lines += 1
        self._log.warning(message, *values, extra=ids)


def _ids(record: logging.LogRecord) -> dict[str, object]:
    return {name: value for name in _IDS if (value := getattr(record, name, None))}
