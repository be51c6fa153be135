import uuid

from serving_gateway.identifiers import uuid7


def test_version_variant_and_time_are_where_the_rfc_puts_them() -> None:
    found = uuid.UUID(uuid7(1_700_000_000_123))
    assert (found.version, found.variant) == (7, uuid.RFC_4122)
    assert found.int >> 80 == 1_700_000_000_123


def test_ids_are_unique_and_sort_by_time() -> None:
    assert len({uuid7(5) for _ in range(10_000)}) == 10_000
    assert uuid7(1) < uuid7(2) < uuid7(2**40)
