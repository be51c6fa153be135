from urllib.parse import quote

import pytest
import yaml

from orchestration.features.store import connection_string


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("redis://127.0.0.1:6379/0", "127.0.0.1:6379,db=0"),
        ("redis://cache", "cache:6379,db=0"),
        ("redis://:s%40fe@cache:7000/3", "cache:7000,db=3,password=s@fe"),
        ("rediss://me:pw@cache/1", "cache:6379,db=1,username=me,password=pw,ssl=true"),
    ],
)
def test_feasts_form_of_an_address(url: str, expected: str) -> None:
    assert connection_string(url) == expected


@pytest.mark.parametrize("url", ["http://cache:6379", "cache:6379", "redis://"])
def test_another_address_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="redis://"):
        connection_string(url)


@pytest.mark.integration  # by Feast, which takes seconds to import
@pytest.mark.parametrize(
    "text", ["s@fe", "a,b", "a=b", "12345", "0123", "1e5", "true", "null", "NaN", 'a"b', "a: b #c", "é𝄞$X"]
)
def test_feast_reads_any_user_and_password_out_of_its_file(text: str) -> None:
    from feast.infra.online_stores.redis import RedisOnlineStore

    found = connection_string(f"redis://{quote(text, safe='')}:{quote(text, safe='')}@cache:7000/3")
    file = yaml.safe_load(f"connection_string: {found}")
    nodes, options = RedisOnlineStore._parse_connection_string(file["connection_string"])
    assert nodes == [{"host": "cache", "port": "7000"}]
    assert options == {"db": 3, "username": text, "password": text}
