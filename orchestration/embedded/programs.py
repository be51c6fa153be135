"""What the running supervisor says of its programs, over its unix socket."""

import http.client
import socket
import tempfile
import xmlrpc.client
from dataclasses import dataclass
from pathlib import Path
from typing import Any

# sun_path of unix(7) holds 108 bytes with its terminating zero; supervisord first binds a name with its pid behind.
_LONGEST_SOCKET_PATH = 107 - len(".4194304")

_TIMEOUT_S = 2.0


@dataclass(frozen=True)
class Program:
    """One supervised program. `state` is the supervisor's: STARTING, RUNNING, BACKOFF, STOPPING, EXITED, FATAL..."""

    name: str
    state: str
    log: Path
    error: str

    def log_end(self, lines: int = 10) -> str:
        """The last lines of its log."""
        if not self.log.exists():
            return ""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])


def socket_path(home: Path) -> Path:
    """Where the supervisor of `home` listens; a folder of its own under TMPDIR where `home` is too long for a socket."""
    usual = home / "supervisor.sock"
    if len(bytes(usual)) <= _LONGEST_SOCKET_PATH:
        return usual
    return Path(tempfile.mkdtemp(prefix="drift-platform-")) / usual.name


class _UnixTransport(xmlrpc.client.Transport):
    """XML-RPC over a unix socket. Unlike supervisor's own it gives up on a supervisor that hangs."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = path

    def make_connection(self, host: Any) -> http.client.HTTPConnection:
        connection = http.client.HTTPConnection(host)
        connection.sock = socket.socket(socket.AF_UNIX)
        connection.sock.settimeout(_TIMEOUT_S)
        self._connection = (host, connection)  # closed with the transport, connected or not
        connection.sock.connect(str(self._path))
        return connection


def programs(path: Path) -> list[Program]:
    """Every program of the supervisor that listens at `path`; none while none answers there."""
    transport = _UnixTransport(path)
    proxy = xmlrpc.client.ServerProxy("http://localhost/RPC2", transport=transport)
    try:
        found = proxy.supervisor.getAllProcessInfo()
    except (OSError, http.client.HTTPException, xmlrpc.client.Error):
        return []  # not listening yet, or ending
    finally:
        transport.close()
    assert isinstance(found, list)
    return [Program(p["name"], p["statename"], Path(p["stdout_logfile"]), p["spawnerr"]) for p in found]
