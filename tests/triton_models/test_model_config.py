from pathlib import Path
from typing import Any

import pytest
from google.protobuf import json_format, text_format
from hypothesis import given
from hypothesis import strategies as st
from tritonclient.grpc import model_config_pb2

from triton_models.backends import Backends
from triton_models.model_config import (
    BACKEND,
    MAX_BATCH_SIZE,
    ModelConfigError,
    Served,
    is_part,
    model_files,
    model_of,
    render_configs,
    render_trees,
    trees_of,
    write_model,
)

KIND = model_config_pb2.ModelInstanceGroup
DELAY = Served("flight_delay_v7", 26, "rows", "risk")
# Parameter of a backend -> what its documentation allows.
# https://github.com/triton-inference-server/fil_backend/blob/main/docs/model_config.md, of release 25.09 and later: it calls
# `is_classifier` what was `output_class`, and has no `storage_type`, `algo`, `threads_per_tree` and `blocks_per_sm` any more.
FIL: dict[str, set[str] | type] = {
    "model_type": {"xgboost", "xgboost_json", "xgboost_ubj", "lightgbm", "treelite_checkpoint"},
    "is_classifier": {"true", "false"},
    "predict_proba": {"true", "false"},
    "threshold": float,
    "xgboost_allow_unknown_field": {"true", "false"},
    "chunk_size": {"1", "2", "4", "8", "16", "32"},
    "layout": {"depth_first", "breadth_first", "layered"},
    "transfer_threshold": int,
}
# https://github.com/triton-inference-server/onnxruntime_backend#model-config-options
ONNXRUNTIME: dict[str, set[str] | type] = {
    "intra_op_thread_count": int,
    "inter_op_thread_count": int,
    "execution_mode": {"0", "1"},
    "enable_mem_arena": {"0", "1"},
    "enable_mem_pattern": {"0", "1"},
    "memory.enable_memory_arena_shrinkage": str,
    "session.use_device_allocator_for_initializers": {"0", "1"},
}
# https://github.com/triton-inference-server/onnxruntime_backend#onnx-runtime-with-cuda-execution-provider-optimization hands
# on the options of https://onnxruntime.ai/docs/execution-providers/CUDA-ExecutionProvider.html#configuration-options
CUDA: dict[str, set[str] | type] = {
    "gpu_mem_limit": int,
    "arena_extend_strategy": {"kNextPowerOfTwo", "kSameAsRequested"},
    "cudnn_conv_algo_search": {"EXHAUSTIVE", "HEURISTIC", "DEFAULT"},
    "do_copy_in_default_stream": {"0", "1"},
    "cudnn_conv_use_max_workspace": {"0", "1"},
    "cudnn_conv1d_pad_to_nc1d": {"0", "1"},
    "enable_cuda_graph": {"0", "1"},
    "enable_skip_layer_norm_strict_mode": {"0", "1"},
    "use_tf32": {"0", "1"},
    "use_ep_level_unified_stream": {"0", "1"},
    "prefer_nhwc": {"0", "1"},
}
DOCUMENTED = {"fil": FIL, "onnxruntime": ONNXRUNTIME, "python": {}, "": {}}


def parse(text: str) -> Any:
    """By Triton's own protobuf: an unknown field or enum fails."""
    return text_format.Parse(text, model_config_pb2.ModelConfig())


def as_dict(text: str) -> dict[str, Any]:
    return json_format.MessageToDict(parse(text), preserving_proto_field_name=True)


def every_config(model: Served = DELAY) -> dict[str, str]:
    """Whatever is generated, by what it is for."""
    made = {f"{b}, {trees=}": text for trees in (True, False) for b, text in render_configs(model, trees=trees).items()}
    return {**made, "the trees": render_trees(model)}


def tensors(input_tensor: str, output_tensor: str) -> dict[str, Any]:
    return {
        "max_batch_size": 1024,
        "input": [{"name": input_tensor, "data_type": "TYPE_FP32", "dims": ["26"]}],
        "output": [{"name": output_tensor, "data_type": "TYPE_FP32", "dims": ["1"]}],
        "version_policy": {"latest": {"num_versions": 1}},
    }


def warmed_up(input_tensor: str) -> list[dict[str, Any]]:
    zeros = {"data_type": "TYPE_FP32", "dims": ["26"], "zero_data": True}
    return [{"name": "zeros", "batch_size": 32, "inputs": {input_tensor: zeros}}]


def strings(**values: str) -> dict[str, Any]:
    return {key: {"string_value": value} for key, value in values.items()}


# Compared as a whole: what is added to the generator stands here too, and nothing is left to Triton's completion.
ON_CPU = {
    "name": "flight_delay_v7",
    "backend": "onnxruntime",
    **tensors("rows", "risk"),
    "instance_group": [{"count": 1, "kind": "KIND_CPU"}],
    "parameters": strings(intra_op_thread_count="1", inter_op_thread_count="1"),
    "model_warmup": warmed_up("rows"),
}
PYTHON = {key: value for key, value in ON_CPU.items() if key != "parameters"} | {"backend": "python"}
CUDA_CHOSEN = [{"name": "cuda", "parameters": {"use_tf32": "0"}}]
NETWORK_ON_GPU = ON_CPU | {
    "instance_group": [{"count": 1, "kind": "KIND_GPU"}],
    "optimization": {"execution_accelerators": {"gpu_execution_accelerator": CUDA_CHOSEN}},
}
TREES_ON_GPU = {
    "name": "flight_delay_v7",
    "platform": "ensemble",
    **tensors("rows", "risk"),
    "ensemble_scheduling": {
        "step": [
            {
                "model_name": "flight_delay_v7_trees",
                "model_version": "-1",
                "input_map": {"input__0": "rows"},
                "output_map": {"output__0": "risk"},
            }
        ]
    },
}


@pytest.mark.parametrize(
    ("trees", "backends", "wanted"),
    [
        (False, Backends.PYTHON, PYTHON),
        (False, Backends.ONNXRUNTIME, ON_CPU),
        (False, Backends.GPU, NETWORK_ON_GPU),
        (True, Backends.PYTHON, PYTHON),
        (True, Backends.ONNXRUNTIME, ON_CPU),
        (True, Backends.GPU, TREES_ON_GPU),
    ],
)
def test_every_field_of_a_config_is_one_that_is_wanted(
    trees: bool, backends: Backends, wanted: dict[str, object]
) -> None:
    assert as_dict(render_configs(DELAY, trees=trees)[backends]) == wanted


def test_every_field_of_the_trees_config_is_one_that_is_wanted() -> None:
    assert as_dict(render_trees(DELAY)) == {
        "name": "flight_delay_v7_trees",
        "backend": "fil",
        **tensors("input__0", "output__0"),
        "instance_group": [{"count": 1, "kind": "KIND_GPU"}],
        "parameters": strings(model_type="lightgbm", is_classifier="true", predict_proba="true", threshold="0.5"),
        "model_warmup": warmed_up("input__0"),
    }


@pytest.mark.parametrize("what", every_config())
def test_every_parameter_is_one_that_its_backend_documents(what: str) -> None:
    config = parse(every_config()[what])
    for key, value in config.parameters.items():
        assert allowed(DOCUMENTED[config.backend][key], value.string_value), (key, value.string_value)
    accelerators = config.optimization.execution_accelerators
    assert not accelerators.cpu_execution_accelerator
    for accelerator in accelerators.gpu_execution_accelerator:
        assert accelerator.name == "cuda"
        assert all(allowed(CUDA[key], value) for key, value in accelerator.parameters.items())


def allowed(documented: set[str] | type, value: str) -> bool:
    if isinstance(documented, set):
        return value in documented
    documented(value)  # raises where it is none
    return True


def test_the_table_of_parameters_would_notice_one_that_the_backend_dropped() -> None:
    assert {"output_class", "storage_type", "algo"}.isdisjoint(FIL)
    assert not allowed(FIL["model_type"], "lightgbm_txt")
    with pytest.raises(ValueError, match="half"):
        allowed(FIL["threshold"], "half")


@pytest.mark.parametrize("what", every_config())
def test_gateway_batches_so_triton_does_not(what: str) -> None:
    scheduling = parse(every_config()[what]).WhichOneof("scheduling_choice")
    assert scheduling == ("ensemble_scheduling" if what == "gpu, trees=True" else None)


@pytest.mark.parametrize("what", every_config())
def test_one_instance_on_the_device_that_is_meant(what: str) -> None:
    groups = [(g.count, g.kind, list(g.gpus)) for g in parse(every_config()[what]).instance_group]
    kind = KIND.KIND_GPU if what.startswith(("gpu", "the trees")) else KIND.KIND_CPU
    # An ensemble runs nowhere itself; Triton refuses instances for it.
    assert groups == ([] if what == "gpu, trees=True" else [(1, kind, [])])


@pytest.mark.parametrize("what", every_config())
def test_warmup_fits_the_input(what: str) -> None:
    config = parse(every_config()[what])
    for warmup in config.model_warmup:
        assert {name: list(t.dims) for name, t in warmup.inputs.items()} == {config.input[0].name: [26]}
        assert warmup.batch_size <= config.max_batch_size == MAX_BATCH_SIZE


def test_the_ensemble_fits_the_trees_behind_it() -> None:
    front, behind = parse(render_configs(DELAY, trees=True)[Backends.GPU]), parse(render_trees(DELAY))
    (step,) = front.ensemble_scheduling.step
    assert step.model_name == behind.name == trees_of(front.name)
    assert dict(step.input_map) == {behind.input[0].name: front.input[0].name}
    assert dict(step.output_map) == {behind.output[0].name: front.output[0].name}
    assert (front.max_batch_size, front.input[0].dims, front.output[0].dims) == (
        behind.max_batch_size,
        behind.input[0].dims,
        behind.output[0].dims,
    )


@pytest.mark.parametrize("name", ["", "../x", "a/b", ".hidden", 'a"b', "a\nb", "a b", "-v1", "naïve", "$x", "a{"])
def test_names_that_cannot_stand_in_a_config_or_be_a_folder_are_refused(name: str) -> None:
    with pytest.raises(ModelConfigError, match="the model's name must be"):
        Served(name, 3)
    with pytest.raises(ModelConfigError, match="the input tensor's name must be"):
        Served("m", 3, input_tensor=name)
    with pytest.raises(ModelConfigError, match="the output tensor's name must be"):
        Served("m", 3, output_tensor=name)


def test_a_model_without_inputs_is_refused() -> None:
    with pytest.raises(ModelConfigError, match="m has no input"):
        Served("m", 0)


@given(st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,40}", fullmatch=True), st.integers(1, 10_000))
def test_every_name_that_is_taken_comes_back_from_every_parsed_config(name: str, width: int) -> None:
    for trees in (True, False):
        for text in render_configs(Served(name, width, name, name), trees=trees).values():
            config = parse(text)
            assert (config.name, config.input[0].name, config.output[0].name) == (name, name, name)
            assert list(config.input[0].dims) == [width]


def test_a_served_name_is_never_taken_for_the_trees_of_another() -> None:
    assert is_part(trees_of("flight_delay_v7"))
    assert model_of(trees_of("flight_delay_v7")) == model_of("flight_delay_v7") == "flight_delay_v7"
    assert not is_part("flight_delay_v7")
    assert not is_part("oak_trees_v1")


def test_model_folders_are_self_contained(tmp_path: Path) -> None:
    files = model_files(DELAY, onnx=b"onnx", trees="tree\n")
    for name, content in files.items():
        write_model(tmp_path / name, content)

    found = {str(path.relative_to(tmp_path)): path.read_text() for path in tmp_path.rglob("*") if path.is_file()}
    configs = render_configs(DELAY, trees=True)
    assert found == {
        "flight_delay_v7/config.pbtxt": configs[Backends.PYTHON],
        "flight_delay_v7/configs/onnxruntime.pbtxt": configs[Backends.ONNXRUNTIME],
        "flight_delay_v7/configs/gpu.pbtxt": configs[Backends.GPU],
        "flight_delay_v7/1/model.onnx": "onnx",
        "flight_delay_v7/1/model.py": BACKEND.read_text(),
        "flight_delay_v7_trees/config.pbtxt": render_trees(DELAY),
        "flight_delay_v7_trees/1/model.txt": "tree\n",
    }
    assert not any(path.is_symlink() for path in tmp_path.rglob("*"))
    assert list(files) == ["flight_delay_v7_trees", "flight_delay_v7"]  # what callers name comes when all is there


def test_a_model_without_trees_is_one_folder() -> None:
    assert list(model_files(DELAY, onnx=b"onnx", trees=None)) == ["flight_delay_v7"]


def test_what_stands_in_a_folder_is_not_written_again(tmp_path: Path) -> None:
    write_model(tmp_path, {"config.pbtxt": "old"})
    write_model(tmp_path, {"config.pbtxt": "new", "configs/gpu.pbtxt": "new"})

    assert (tmp_path / "config.pbtxt").read_text() == "old"
    assert (tmp_path / "configs" / "gpu.pbtxt").read_text() == "new"


@pytest.mark.parametrize(("text", "meant"), [(None, "python"), ("", "python"), *((b, b) for b in Backends)])
def test_backends_are_read_from_the_variable(text: str | None, meant: str) -> None:
    assert Backends.of(text) == meant


def test_backends_that_are_none_name_the_choices() -> None:
    with pytest.raises(ValueError, match="TRITON_BACKENDS must be python, onnxruntime, gpu, got 'GPU'"):
        Backends.of("GPU")
