import msgspec
import pytest

from serving_gateway.contracts.rollout import SCHEMA, Arm, Arms, RolloutState, decode_state
from tests.serving_gateway.support import CONTRACT, state_of, version

ARM = Arm(model="m", version="1", triton_model="m_v1", contract_digest="d")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"canary_weight_bp": -1}, "canary_weight_bp must be 0 to 10000"),
        ({"canary_weight_bp": 10_001}, "canary_weight_bp must be 0 to 10000"),
        ({"canary_weight_bp": 1}, "no canary arm is named"),
        ({"shadow_fraction": 1.1}, "shadow_fraction must be 0 to 1"),
        ({"shadow_fraction": float("nan")}, "shadow_fraction must be 0 to 1"),
    ],
)
def test_impossible_states_are_refused(changes: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        RolloutState(epoch=1, generation=1, phase="stable", arms=Arms(baseline=ARM), **changes)  # type: ignore[arg-type]


def test_a_state_survives_json() -> None:
    state = state_of(CONTRACT, version(2), weight_bp=100, shadow_fraction=0.5)
    assert msgspec.json.decode(msgspec.json.encode(state), type=RolloutState) == state


def test_an_impossible_document_is_refused_when_read() -> None:
    document = msgspec.json.encode(state_of(CONTRACT)).replace(b'"canary_weight_bp":0', b'"canary_weight_bp":5')
    with pytest.raises(msgspec.ValidationError, match="no canary arm"):
        msgspec.json.decode(document, type=RolloutState)


def test_a_later_epoch_follows_any_generation() -> None:
    assert state_of(CONTRACT, epoch=2, generation=1).position > state_of(CONTRACT, epoch=1, generation=99).position


def test_a_document_from_before_schemas_were_written_is_of_the_first() -> None:
    document = msgspec.json.decode(msgspec.json.encode(state_of(CONTRACT)))
    assert document.pop("schema") == SCHEMA
    assert decode_state(msgspec.json.encode(document)) == state_of(CONTRACT)
    assert state_of(CONTRACT).schema == SCHEMA == 1


def test_a_field_of_a_newer_version_of_the_same_schema_is_passed_over() -> None:
    document = msgspec.json.decode(msgspec.json.encode(state_of(CONTRACT)))
    assert decode_state(msgspec.json.encode(document | {"of_tomorrow": [1]})) == state_of(CONTRACT)


def test_a_newer_schema_is_named_whatever_else_changed_in_it() -> None:
    document = {"schema": SCHEMA + 1, "epoch": "first", "arms": [1, 2]}
    with pytest.raises(
        msgspec.ValidationError, match=rf"schema {SCHEMA + 1}, .* up to {SCHEMA}: upgrade .*`\$\.schema`"
    ):
        decode_state(msgspec.json.encode(document))


def test_an_impossible_document_names_its_field() -> None:
    document = msgspec.json.encode(state_of(CONTRACT)).replace(b'"generation":1', b'"generation":"one"')
    with pytest.raises(msgspec.ValidationError, match=r"\$\.generation"):
        decode_state(document)
