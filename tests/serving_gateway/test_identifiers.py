import uuid

import pytest

from serving_gateway.identifiers import made_ms, uuid7

FIVE = "00000000-0005-7577-9154-df44e11fd64c"


def test_version_variant_and_time_are_where_the_rfc_puts_them() -> None:
    found = uuid.UUID(uuid7(1_700_000_000_123))
    assert (found.version, found.variant) == (7, uuid.RFC_4122)
    assert found.int >> 80 == 1_700_000_000_123


def test_ids_are_unique_and_sort_by_time() -> None:
    assert len({uuid7(5) for _ in range(10_000)}) == 10_000
    assert uuid7(1) < uuid7(2) < uuid7(2**40)


def test_an_id_says_when_it_was_made() -> None:
    assert [made_ms(uuid7(at)) for at in (0, 1_700_000_000_123, 2**48 - 1)] == [0, 1_700_000_000_123, 2**48 - 1]


@pytest.mark.parametrize(
    "other", ["", str(uuid.UUID(int=0)), "d24911bd-a142-4ee5-ab6f-46b92784bfdb", f"{FIVE}\n", f"{{{FIVE}}}"]
)
def test_what_is_no_uuid7_is_refused(other: str) -> None:
    with pytest.raises(ValueError, match="UUIDv7"):
        made_ms(other)
