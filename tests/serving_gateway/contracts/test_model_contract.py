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
