"""Where the online store is: one Redis, what Sentinels watch over, or a Cluster. One URL for the gateway and the batch side.

    redis://[user:password@]host[:port][/db]                                as redis-py takes it; unix:// too
    redis+sentinel://[user:password@]host[:26379][,host...]/master[/db]     the hosts are Sentinels, asked without a password
    redis+cluster://[user:password@]host[:6379][,host...]                   the hosts are some nodes of the cluster

rediss for TLS, with redis-py's options behind a question mark (ssl_ca_certs, ssl_cert_reqs, ...). Sentinels are spoken to
without TLS, as Feast does.
"""

import re
from typing import Any, Literal

from msgspec import Struct
from redis.connection import parse_url

Node = tuple[str, int]
EXPECTED = (
    "a URL such as redis://127.0.0.1:6379/0, redis+sentinel://one:26379,two:26379/mymaster or redis+cluster://one:6379"
)
_SEVERAL = re.compile(r"(rediss?)\+(sentinel|cluster)://(?:([^/?]*)@)?([^@/?]+)(?:/([^?]*))?(\?.*)?")
_PORT = {"sentinel": 26379, "cluster": 6379}


class OnlineAddress(Struct, frozen=True):
    """A parsed URL.

    Attributes:
        kind: what the nodes are.
        nodes: host and port of the Redis, of the Sentinels or of some nodes of the cluster; empty for a unix socket.
        master: what the Sentinels call the master; empty for other kinds.
        options: redis-py's connection options but for host and port.
    """

    kind: Literal["single", "sentinel", "cluster"]
    nodes: tuple[Node, ...]
    master: str
    options: dict[str, Any]


def parse_address(url: str) -> OnlineAddress:
    """Raises ValueError that says what is expected."""
    several = _SEVERAL.fullmatch(url)
    if several is None:
        try:
            options = parse_url(url)  # type: ignore[no-untyped-call]
        except ValueError:
            raise ValueError(EXPECTED) from None
        if "host" not in options and "path" not in options:
            raise ValueError(EXPECTED)
        one = (str(options.pop("host", "")), int(options.pop("port", 6379)))
        return OnlineAddress("single", () if "path" in options else (one,), "", options)
    scheme, kind, login, hosts, path, query = several.groups(default="")
    nodes = tuple(_node(host, _PORT[kind]) for host in hosts.split(","))
    master, _, db = path.partition("/")
    if (kind == "sentinel") != bool(master) or (db and not db.isdigit()):
        raise ValueError(EXPECTED)
    single = parse_address(f"{scheme}://{login + '@' if login else ''}127.0.0.1/{db or 0}{query}")
    return OnlineAddress(kind, nodes, master, single.options)  # type: ignore[arg-type]


def _node(text: str, default: int) -> Node:
    found = re.fullmatch(r"(\[[0-9a-fA-F:.]+\]|[^:\[\]]+)(?::(\d{1,5}))?", text)
    if found is None or int(found[2] or default) > 65535:
        raise ValueError(EXPECTED)
    return found[1].strip("[]"), int(found[2] or default)
