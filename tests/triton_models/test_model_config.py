from pathlib import Path

from google.protobuf import text_format
from tritonclient.grpc import model_config_pb2

from triton_models.model_config import BACKEND, MAX_BATCH_SIZE, render_config, write_model


def parse(text: str) -> model_config_pb2.ModelConfig:
    return text_format.Parse(text, model_config_pb2.ModelConfig())


def test_config_parses_with_the_official_protobuf_and_says_what_was_asked() -> None:
    config = parse(render_config("flight_delay_v7", width=26, input_tensor="rows", output_tensor="risk"))

    assert (config.name, config.backend, config.max_batch_size) == ("flight_delay_v7", "python", MAX_BATCH_SIZE)
    assert [(t.name, t.data_type, list(t.dims)) for t in config.input] == [("rows", model_config_pb2.TYPE_FP32, [26])]
    assert [(t.name, t.data_type, list(t.dims)) for t in config.output] == [("risk", model_config_pb2.TYPE_FP32, [1])]


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
