"""The page on GPUs names one image, new enough, and a start that the launch takes."""

import re
import shlex

from tests.docs.markdown import table
from tests.servers import ROOT
from triton_models.backends import Backends
from triton_models.launch import _parser

PAGE = ROOT / "docs" / "gpu.md"
TEXT = PAGE.read_text()
COMPOSE = (ROOT / "docker-compose.yml").read_text()


def test_every_choice_of_backends_is_explained() -> None:
    listed = [choice.split(",")[0].strip("`") for choice in table(PAGE, "Who serves what")]
    assert listed == list(Backends)


def test_the_image_is_the_containers_and_has_the_parameters_of_today() -> None:
    tags = set(re.findall(r"nvcr\.io/nvidia/tritonserver:(\d\d\.\d\d)-py3", TEXT + COMPOSE))
    assert len(tags) == 1
    (oldest,) = re.findall(r"must be of release (\d\d\.\d\d) or later", TEXT)
    assert tags.pop() >= oldest


def test_the_launch_takes_the_pages_arguments() -> None:
    (arguments,) = re.findall(r"python3 -m triton_models\.launch (.*)", TEXT)
    options = _parser().parse_args(shlex.split(arguments))
    assert (str(options.home), options.address) == ("/state", "0.0.0.0")
    assert "/tmp/gpu-check/triton:/state/triton" in TEXT


def test_the_gpus_test_reads_the_variables_that_the_page_sets() -> None:
    source = (ROOT / "tests" / "triton_models" / "test_gpu.py").read_text()
    assert set(re.findall(r"\b(TRITON_GPU_\w+)=", TEXT)) == set(re.findall(r"environ\.get\(\"(TRITON_GPU_\w+)", source))
