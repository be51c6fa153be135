import hashlib

import msgspec
import pytest

from serving_gateway.contracts.model import ModelContract
from tests.serving_gateway.support import CONTRACT, version


def test_the_digest_names_the_content() -> None:
    again = ModelContract.from_json(CONTRACT.to_json())
    assert again == CONTRACT
    assert again.digest == CONTRACT.digest
    assert version(2).digest != CONTRACT.digest
    assert len(CONTRACT.digest) == 16


def test_the_digest_does_not_depend_on_the_order_of_keys() -> None:
    document = msgspec.json.decode(CONTRACT.to_json())
    shuffled = msgspec.json.encode(dict(reversed(document.items())))
    assert ModelContract.from_json(shuffled).digest == CONTRACT.digest


def test_the_signature_is_name_dtype_vocabulary_in_order() -> None:
    assert CONTRACT.signature[:2] == (("s_carrier", "category", ("AA", "B6")), ("s_dow", "int32", ()))
    assert version(9).signature == CONTRACT.signature


def test_a_foreign_document_names_the_field() -> None:
    with pytest.raises(msgspec.ValidationError, match=r"\$\.inputs\[0\]"):
        ModelContract.from_json(CONTRACT.to_json().replace(b'"category"', b'"text"'))


def test_a_contract_with_more_than_is_known_here_is_not_taken_for_what_it_names() -> None:
    """A newer platform's field is lost in reading, and so is the digest: who asks by digest refuses it."""
    newer = msgspec.json.decode(CONTRACT.to_json()) | {"of_tomorrow": "matters"}
    digest = hashlib.sha256(msgspec.json.encode(newer, order="sorted")).hexdigest()[:16]
    assert ModelContract.from_json(msgspec.json.encode(newer)).digest == CONTRACT.digest != digest


def test_a_source_of_a_kind_that_is_unknown_here_is_refused_by_its_path() -> None:
    with pytest.raises(msgspec.ValidationError, match=r"minutes_until.*\$\.inputs\[4\]\.source\.kind"):
        ModelContract.from_json(CONTRACT.to_json().replace(b"minutes_since", b"minutes_until"))
