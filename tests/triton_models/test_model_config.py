from pathlib import Path

import pytest
from google.protobuf import json_format, text_format
from hypothesis import given
from hypothesis import strategies as st
from tritonclient.grpc import model_config_pb2

from triton_models.model_config import BACKEND, MAX_BATCH_SIZE, ModelConfigError, render_config, write_model


def parse(text: str) -> model_config_pb2.ModelConfig:
    return text_format.Parse(text, model_config_pb2.ModelConfig())


def test_config_parses_with_the_official_protobuf_and_says_what_was_asked() -> None:
    config = parse(render_config("flight_delay_v7", width=26, input_tensor="rows", output_tensor="risk"))

    assert (config.name, config.backend, config.max_batch_size) == ("flight_delay_v7", "python", MAX_BATCH_SIZE)
    assert [(t.name, t.data_type, list(t.dims)) for t in config.input] == [("rows", model_config_pb2.TYPE_FP32, [26])]
    assert [(t.name, t.data_type, list(t.dims)) for t in config.output] == [("risk", model_config_pb2.TYPE_FP32, [1])]


def test_every_field_of_the_config_is_one_that_is_wanted() -> None:
    """Compared as a whole: what is added to the template stands here too, and nothing is left to Triton's completion."""
    tensors = {"data_type": "TYPE_FP32", "dims": ["26"]}
    assert json_format.MessageToDict(
        parse(render_config("flight_delay_v7", width=26)), preserving_proto_field_name=True
    ) == {
        "name": "flight_delay_v7",
        "backend": "python",
        "max_batch_size": 1024,
        "input": [{"name": "features", **tensors}],
        "output": [{"name": "score", "data_type": "TYPE_FP32", "dims": ["1"]}],
        "instance_group": [{"count": 1, "kind": "KIND_CPU"}],
        "version_policy": {"latest": {"num_versions": 1}},
        "model_warmup": [{"name": "zeros", "batch_size": 32, "inputs": {"features": {**tensors, "zero_data": True}}}],
    }


@pytest.mark.parametrize("name", ["", "../x", "a/b", ".hidden", 'a"b', "a\nb", "a b", "-v1", "naïve", "$x", "a{"])
def test_names_that_cannot_stand_in_a_config_or_be_a_folder_are_refused(name: str) -> None:
    with pytest.raises(ModelConfigError, match="the model's name must be"):
        render_config(name, width=3)
    with pytest.raises(ModelConfigError, match="the input tensor's name must be"):
        render_config("m", width=3, input_tensor=name)
    with pytest.raises(ModelConfigError, match="the output tensor's name must be"):
        render_config("m", width=3, output_tensor=name)


def test_a_model_without_inputs_is_refused() -> None:
    with pytest.raises(ModelConfigError, match="m has no input"):
        render_config("m", width=0)


@given(st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,40}", fullmatch=True), st.integers(1, 10_000))
def test_every_name_that_is_taken_comes_back_from_the_parsed_config(name: str, width: int) -> None:
    config = parse(render_config(name, width=width, input_tensor=name, output_tensor=name))
    assert (config.name, config.input[0].name, config.output[0].name) == (name, name, name)
    assert list(config.input[0].dims) == list(config.model_warmup[0].inputs[name].dims) == [width]


def test_gateway_batches_so_triton_does_not() -> None:
    config = parse(render_config("m", width=3))

    assert config.WhichOneof("scheduling_choice") is None
    assert [(g.count, g.kind) for g in config.instance_group] == [(1, model_config_pb2.ModelInstanceGroup.KIND_CPU)]


def test_warmup_fits_the_input() -> None:
    config = parse(render_config("m", width=3))

    (warmup,) = config.model_warmup
    assert {name: list(tensor.dims) for name, tensor in warmup.inputs.items()} == {"features": [3]}
    assert warmup.batch_size <= config.max_batch_size


def test_model_folder_is_self_contained(tmp_path: Path) -> None:
    write_model(tmp_path / "m", config="config", onnx=b"onnx")

    assert (tmp_path / "m" / "config.pbtxt").read_text() == "config"
    assert (tmp_path / "m" / "1" / "model.onnx").read_bytes() == b"onnx"
    copied = tmp_path / "m" / "1" / "model.py"
    assert copied.read_text() == BACKEND.read_text()
    assert not copied.is_symlink()
