"""The connection to the online store against a real Redis: who may connect, what is lost and found again, what is an error."""

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import redis

from serving_gateway.contracts.online_address import parse_address
from serving_gateway.online_connection import OnlineConnection
from serving_gateway.online_wire import StoreLostError, command
from tests.servers import RedisServer, free_port, redis_server

pytestmark = pytest.mark.integration
PING = command(b"PING")
GET = command(b"GET", b"k")


def asked(url: str, script: Callable[[OnlineConnection], Awaitable[object]]) -> object:
    async def main() -> object:
        store = OnlineConnection(parse_address(url))
        try:
            return await asyncio.wait_for(script(store), 10)
        finally:
            store.close()

    return asyncio.run(main())


def soon(seconds: float = 2.0) -> float:
    return asyncio.get_running_loop().time() + seconds


def test_many_commands_are_one_exchange(redis_url: str) -> None:
    with redis.Redis.from_url(redis_url) as client:
        client.set("k", "v")
    replies = asked(redis_url, lambda store: store.exchange(PING + GET + PING, 3, soon()))
    assert replies == [b"PONG", b"v", b"PONG"]


def test_a_user_a_password_and_a_database_are_those_of_the_url(redis_process: RedisServer, redis_url: str) -> None:
    with redis.Redis.from_url(redis_url) as client:
        client.acl_setuser("reader", enabled=True, passwords=["+p@ss word"], keys=["*"], commands=["+@all"])
        client.execute_command("SELECT", 3)
    with redis.Redis(port=redis_process.port, db=3) as client:
        client.set("k", "three")
    address = f"127.0.0.1:{redis_process.port}/3"
    url = f"redis://reader:p%40ss%20word@{address}"
    assert asked(url, lambda store: store.exchange(GET, 1, soon())) == [b"three"]
    with pytest.raises(StoreLostError, match=r"refused the connection: (WRONGPASS|NOAUTH)"):
        asked(f"redis://reader:wrong@{address}", lambda store: store.exchange(GET, 1, soon()))


def test_a_unix_socket(tmp_path: Path) -> None:
    with redis_server(tmp_path, "--unixsocket", str(tmp_path / "s")):
        assert asked(f"unix://{tmp_path}/s", lambda store: store.exchange(PING, 1, soon())) == [b"PONG"]


def certificate(folder: Path) -> Path:
    """A self-signed certificate of 127.0.0.1 with its key, in one file."""
    import ipaddress

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.oid.NameOID.COMMON_NAME, "store")])
    now = datetime.now(UTC)
    names = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    signed = (
        x509.CertificateBuilder(name, name, key.public_key(), 1, now - timedelta(days=1), now + timedelta(days=1))
        .add_extension(names, critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path = folder / "store.pem"
    path.write_bytes(private + signed.public_bytes(serialization.Encoding.PEM))
    return path


def test_tls_with_the_stores_own_certificate_and_not_with_a_stranger(
    redis_process: RedisServer, tmp_path: Path
) -> None:
    """The bundled Redis speaks no TLS: a relay in front of it does."""
    pem = certificate(tmp_path)

    async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection("127.0.0.1", redis_process.port)
        while data := await reader.read(1000):
            back.write(data)
            writer.write(await there.read(1000))
        writer.close()
        back.close()

    async def main() -> None:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(pem)
        server = await asyncio.start_server(relay, "127.0.0.1", 0, ssl=context)
        address = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
        for known, expected in ((f"ssl_ca_certs={pem}", [b"PONG"]), ("ssl_cert_reqs=none", [b"PONG"]), ("", None)):
            store = OnlineConnection(parse_address(f"rediss://{address}/0?{known}"))
            if expected:
                assert await store.exchange(PING, 1, soon()) == expected
            else:
                with pytest.raises(StoreLostError, match="certificate"):
                    await store.exchange(PING, 1, soon())
            store.close()
        server.close()

    asyncio.run(main())


def test_a_connection_that_the_store_closed_is_replaced(redis_url: str) -> None:
    async def script(store: OnlineConnection) -> object:
        first = await store.exchange(PING, 1, soon())
        with redis.Redis.from_url(redis_url) as client:
            client.client_kill_filter(_type="normal", skipme=True)
        return first + await store.exchange(PING, 1, soon())

    assert asked(redis_url, script) == [b"PONG", b"PONG"]


def test_a_late_reply_answers_nothing_else(redis_url: str) -> None:
    async def script(store: OnlineConnection) -> object:
        await store.exchange(PING, 1, soon())
        with redis.Redis.from_url(redis_url) as client:
            client.set("k", "v")
            client.client_pause(300)
        with pytest.raises(TimeoutError):
            await store.exchange(PING, 1, soon(0.05))
        return await store.exchange(GET, 1, soon())

    assert asked(redis_url, script) == [b"v"]


def test_a_store_that_hangs_while_it_is_greeted_leaves_no_connection_open() -> None:
    left: list[bytes] = []

    async def main() -> None:
        async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.read(100)
            left.append(await reader.read())  # ends when the other side closes
            writer.close()

        server = await asyncio.start_server(silent, "127.0.0.1", 0)
        store = OnlineConnection(parse_address(f"redis://:secret@127.0.0.1:{server.sockets[0].getsockname()[1]}/0"))
        for _ in range(3):
            with pytest.raises(TimeoutError):
                await store.exchange(PING, 1, soon(0.05))
        async with asyncio.timeout(5):
            while len(left) < 3:  # noqa: ASYNC110 - the other side of a socket
                await asyncio.sleep(0.01)
        server.close()

    asyncio.run(main())


def test_errors_say_what_the_store_said(redis_url: str) -> None:
    async def script(store: OnlineConnection) -> object:
        with redis.Redis.from_url(redis_url) as client:
            client.set("k", "a string")
        with pytest.raises(StoreLostError, match="the store answered: WRONGTYPE"):
            await store.exchange(command(b"HMGET", b"k", b"f") + PING, 2, soon())
        return await store.exchange(PING, 1, soon())

    assert asked(redis_url, script) == [b"PONG"]
    with pytest.raises(StoreLostError, match=r"[Cc]onnect"):
        asked(f"redis://127.0.0.1:{free_port()}/0", lambda store: store.exchange(PING, 1, soon()))
