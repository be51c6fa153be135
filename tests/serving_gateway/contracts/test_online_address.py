"""Addresses of the online store."""

import pytest
from redis.connection import SSLConnection, UnixDomainSocketConnection

from serving_gateway.contracts.online_address import OnlineAddress, parse_address


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("redis://127.0.0.1:6380/3", OnlineAddress("single", (("127.0.0.1", 6380),), "", {"db": 3})),
        ("redis://one", OnlineAddress("single", (("one", 6379),), "", {})),
        (
            "unix:///run/s?db=2",
            OnlineAddress(
                "single", (), "", {"path": "/run/s", "db": 2, "connection_class": UnixDomainSocketConnection}
            ),
        ),
        (
            "redis+sentinel://me:p%40ss@one:1,[::1]:2,three/mymaster/4",
            OnlineAddress(
                "sentinel",
                (("one", 1), ("::1", 2), ("three", 26379)),
                "mymaster",
                {"username": "me", "password": "p@ss", "db": 4},
            ),
        ),
        ("redis+cluster://one,two:7", OnlineAddress("cluster", (("one", 6379), ("two", 7)), "", {"db": 0})),
    ],
)
def test_one_url_says_where_the_store_is(url: str, expected: OnlineAddress) -> None:
    assert parse_address(url) == expected


def test_tls_and_its_options() -> None:
    address = parse_address("rediss+cluster://:secret@one:6379?ssl_ca_certs=/ca.pem&ssl_cert_reqs=none")
    assert address.options["connection_class"] is SSLConnection
    assert (address.options["ssl_ca_certs"], address.options["password"]) == ("/ca.pem", "secret")


@pytest.mark.parametrize(
    "url",
    [
        "http://one:6379",
        "redis+sentinel://one:26379",
        "redis+sentinel://one:26379/mymaster/first",
        "redis+cluster://one:6379/mymaster",
        "redis+cluster://",
        "redis+cluster://one:70000",
        "redis+cluster://one,,two",
        "redis+ring://one:6379",
    ],
)
def test_what_cannot_be_used_is_refused_with_an_example(url: str) -> None:
    with pytest.raises(ValueError, match=r"a URL such as redis://127\.0\.0\.1:6379/0, redis\+sentinel://"):
        parse_address(url)
