"""The listening socket: opened once, before any event loop, so that processes may share it."""

import errno
import resource
import socket

from serving_gateway.settings import Settings

BACKLOG = 1024


class CannotListenError(Exception):
    """The address cannot be listened on; the message names the variable to change."""


def listening_socket(settings: Settings) -> socket.socket:
    """A socket that listens, does not block, and hands its options on to its connections. Raises CannotListenError."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    try:
        listener = socket.create_server((settings.host, settings.port), family=family, backlog=BACKLOG)
    except OSError as error:
        raise CannotListenError(_why(error, settings)) from error
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    listener.setblocking(False)
    return listener


def allow_descriptors(count: int) -> None:
    """Let this process open `count` files and sockets, as far as the system's hard limit goes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < count:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(count, hard), hard))


def _why(error: OSError, settings: Settings) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"port {settings.port} on {settings.host} is taken: stop what listens there or set GATEWAY_PORT"
    return f"cannot listen on {settings.host}:{settings.port} (GATEWAY_HOST, GATEWAY_PORT): {error.strerror or error}"
