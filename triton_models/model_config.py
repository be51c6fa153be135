"""config.pbtxt of a published model, and the files that make up its folder in Triton's repository."""

import re
import shutil
from pathlib import Path
from string import Template

BACKEND = Path(__file__).resolve().parent / "model.py"
MAX_BATCH_SIZE = 1024

# No dynamic_batching: the gateway sends whole batches, a second queue would only add its delay.
# The warm-up runs at every load, a restart's too, so that no caller pays for the first inference.
_CONFIG = Template("""\
name: "$name"
backend: "python"
max_batch_size: $max_batch_size
input [ { name: "$input" data_type: TYPE_FP32 dims: [ $width ] } ]
output [ { name: "$output" data_type: TYPE_FP32 dims: [ 1 ] } ]
instance_group [ { count: 1 kind: KIND_CPU } ]
version_policy { latest { num_versions: 1 } }
model_warmup [ {
  name: "zeros"
  batch_size: 32
  inputs { key: "$input" value { data_type: TYPE_FP32 dims: [ $width ] zero_data: true } }
} ]
""")
# What can stand between quotes, and be a folder inside the repository.
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")


class ModelConfigError(ValueError):
    """No configuration can be written for this model; the message names the field."""


def render_config(name: str, *, width: int, input_tensor: str = "features", output_tensor: str = "score") -> str:
    """Text of config.pbtxt for FP32 [n, `width`] in and FP32 [n, 1] out, n up to `MAX_BATCH_SIZE`.

    Raises:
        ModelConfigError: a name has other characters than letters, digits, `_`, `-` and `.`, or there is no input.
    """
    for what, text in (("model", name), ("input tensor", input_tensor), ("output tensor", output_tensor)):
        if not _NAME.fullmatch(text):
            raise ModelConfigError(f"the {what}'s name must be of letters, digits, `_`, `-` and `.`, got {text!r}")
    if width < 1:
        raise ModelConfigError(f"{name} has no input")
    return _CONFIG.substitute(
        name=name, width=width, input=input_tensor, output=output_tensor, max_batch_size=MAX_BATCH_SIZE
    )


def write_model(folder: Path, *, config: str, onnx: bytes) -> None:
    """Lay out `folder` as Triton wants a model: config.pbtxt, 1/model.onnx, 1/model.py."""
    version = folder / "1"
    version.mkdir(parents=True)
    (folder / "config.pbtxt").write_text(config)
    (version / "model.onnx").write_bytes(onnx)
    shutil.copyfile(BACKEND, version / "model.py")
