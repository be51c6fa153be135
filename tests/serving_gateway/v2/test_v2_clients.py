"""Triton's own clients, unmodified, against the gateway over a real Triton."""

import numpy as np
import pytest
from tritonclient.http import InferRequestedOutput
from tritonclient.utils import InferenceServerException

from tests.serving_gateway.v2.conftest import Client, Front, tensor, vectors
from tests.serving_gateway.v2.triton_backends import INVALID, NOT_FOUND, RAISE, UNAVAILABLE

pytestmark = pytest.mark.integration


def scores(front: Front, rows: np.ndarray, version: str) -> np.ndarray:
    """What Triton itself says of the rows."""
    direct = Client("sync", front.triton)
    found: np.ndarray = direct("infer", f"delay_v{version}", [tensor("features", rows)]).as_numpy("score")
    direct.close()
    return found


def test_health_and_readiness(client: Client) -> None:
    assert client("is_server_live")
    assert client("is_server_ready")
    assert client("is_model_ready", "delay")
    assert client("is_model_ready", "delay", "2")
    assert client("is_model_ready", "mixed")
    assert not client("is_model_ready", "delay", "3")
    assert not client("is_model_ready", "nowhere")


def test_the_rolled_out_model_is_told_under_its_own_name_and_versions(client: Client) -> None:
    for version in ("", "2"):
        metadata = client("get_model_metadata", "delay", version)
        assert (metadata["name"], metadata["versions"]) == ("delay", ["1", "2"])
        assert metadata["inputs"] == [{"name": "features", "datatype": "FP32", "shape": [-1, 7]}]
        assert client("get_model_config", "delay", version)["name"] == "delay"
    assert client("get_model_metadata", "mixed")["name"] == "mixed"
    names = [(m["name"], m["version"]) for m in client("get_model_repository_index")]
    assert sorted(names)[:4] == [("delay", "1"), ("delay", "2"), ("mixed", "1"), ("trouble", "1")]
    server = client("get_server_metadata")
    assert server["name"] == "triton"
    assert "binary_tensor_data" in server["extensions"]
    assert not any("shared_memory" in extension for extension in server["extensions"])


def test_statistics_are_tritons_own_by_version(client: Client, front: Front) -> None:
    def inferences(version: str) -> int:
        [entry] = client("get_inference_statistics", "delay", version)["model_stats"]
        assert (entry["name"], entry["version"]) == ("delay", version)
        return int(entry["inference_count"])

    before = inferences("2")
    client("infer", "delay", [tensor("features", vectors(3))], model_version="2")
    assert inferences("2") >= before + 3
    both = client("get_inference_statistics", "delay")["model_stats"]
    assert [(e["name"], e["version"]) for e in both] == [("delay", "1"), ("delay", "2")]
    everything = {(e["name"], e["version"]) for e in client("get_inference_statistics")["model_stats"]}
    assert {("delay", "1"), ("delay", "2"), ("mixed", "1")} <= everything
    assert "delay_v1" not in {name for name, _ in everything}
    assert client("get_inference_statistics", "mixed")["model_stats"][0]["name"] == "mixed"


@pytest.mark.parametrize("binary", [False, True])
@pytest.mark.parametrize("version", ["", "1", "2"])
def test_the_rolled_out_model_scores_as_triton_does(client: Client, front: Front, version: str, binary: bool) -> None:
    rows = vectors(20)
    outputs = [InferRequestedOutput("score", binary_data=binary)]
    answer = client(
        "infer", "delay", [tensor("features", rows, binary=binary)], version, outputs=outputs, request_id="mine"
    )
    response = answer.get_response()
    assert (response["id"], response["model_name"]) == ("mine", "delay")
    assert response["model_version"] in ((version,) if version else ("1", "2"))
    expected = scores(front, rows, response["model_version"])
    np.testing.assert_allclose(answer.as_numpy("score"), expected, rtol=1e-6)


@pytest.mark.parametrize("algorithm", ["gzip", "deflate"])
@pytest.mark.parametrize(("model", "version"), [("delay", ""), ("delay", "2"), ("delay_v1", "")])
def test_compression_both_ways(client: Client, front: Front, model: str, version: str, algorithm: str) -> None:
    rows = vectors(700)
    answer = client(
        "infer",
        model,
        [tensor("features", rows)],
        version,
        request_compression_algorithm=algorithm,
        response_compression_algorithm=algorithm,
    )
    expected = scores(front, rows, version or answer.get_response()["model_version"])
    np.testing.assert_allclose(answer.as_numpy("score"), expected, rtol=1e-6)


@pytest.mark.parametrize("binary", [False, True])
@pytest.mark.parametrize("algorithm", [None, "gzip", "deflate"])
def test_several_inputs_with_text_among_them(client: Client, binary: bool, algorithm: str | None) -> None:
    given = {
        "text": (np.array([b"caf\xc3\xa9", b"", b"x" * 300], dtype=object), "BYTES"),
        "numbers": (np.array([[1, np.nan], [np.inf, -0.0]], dtype=np.float32), "FP32"),
        "counts": (np.array([2**62, -1], dtype=np.int64), "INT64"),
    }
    inputs = [tensor(name, values, kind, binary=binary) for name, (values, kind) in given.items()]
    outputs = [InferRequestedOutput(f"{name}_out", binary_data=binary) for name in given]
    answer = client(
        "infer",
        "mixed",
        inputs,
        outputs=outputs,
        request_compression_algorithm=algorithm,
        response_compression_algorithm=algorithm,
    )
    for name, (values, _) in given.items():
        back = answer.as_numpy(f"{name}_out")
        if name == "text" and not binary:
            back = np.array([text.encode() if isinstance(text, str) else text for text in back], dtype=object)
        np.testing.assert_array_equal(back, values)


@pytest.mark.parametrize("binary", [False, True])
def test_tensors_of_megabytes(client: Client, binary: bool) -> None:
    n = 500_000 if binary else 50_000
    numbers = np.random.default_rng(2).random((n, 2), dtype=np.float32)
    inputs = [
        tensor("text", np.array([b"a" * 1_000_000], dtype=object), "BYTES", binary=binary),
        tensor("numbers", numbers, binary=binary),
        tensor("counts", np.arange(3), "INT64"),
    ]
    answer = client("infer", "mixed", inputs)
    np.testing.assert_array_equal(answer.as_numpy("numbers_out"), numbers)
    assert len(answer.as_numpy("text_out")[0]) == 1_000_000


def test_what_a_model_says_is_wrong_keeps_its_status(client: Client) -> None:
    told = {UNAVAILABLE: "503", NOT_FOUND: "404", INVALID: "400", RAISE: "500"}
    for wait, status in told.items():
        with pytest.raises(InferenceServerException) as error:
            client("infer", "trouble", [tensor("wait", np.array([wait], np.float32))])
        assert error.value.status() == status
    assert client("is_server_ready")


def test_a_callers_mistakes_are_named(client: Client) -> None:
    wrong = [
        ([tensor("other", vectors(1))], "inputs: expected features alone, got ['other']"),
        ([tensor("features", vectors(1)[:, :6])], "must be of shape [n, 7], got [1, 6]"),
        ([tensor("features", vectors(1).astype(np.float64), "FP64")], "features is FP32, got 'FP64'"),
        ([tensor("features", vectors(2000))], "1 to 1024 rows a request"),
    ]
    for inputs, reason in wrong:
        with pytest.raises(InferenceServerException) as error:
            client("infer", "delay", inputs)
        assert error.value.status() == "400"
        assert reason in error.value.message()
    for unknown in (("delay", "7"), ("nowhere", "")):
        with pytest.raises(InferenceServerException) as error:
            client("infer", unknown[0], [tensor("features", vectors(1))], unknown[1])
        assert error.value.status() == "404"


def test_what_is_not_offered_says_what_to_do(client: Client) -> None:
    refused = [
        (("load_model", "delay_v1"), "publishing loads a version"),
        (("unload_model", "delay_v1"), "retire_models unloads"),
        (("get_trace_settings",), "ask Triton itself"),
        (("update_trace_settings", "mixed", {"trace_level": "OFF"}), "ask Triton itself"),
        (("get_log_settings",), "ask Triton itself"),
        (("update_log_settings", {"log_verbose_level": 1}), "ask Triton itself"),
        (("get_system_shared_memory_status",), "send tensors in the body"),
        (("register_system_shared_memory", "r", "/r", 8), "send tensors in the body"),
        (("unregister_system_shared_memory", "r"), "send tensors in the body"),
        (("get_cuda_shared_memory_status",), "send tensors in the body"),
        (("unregister_cuda_shared_memory",), "send tensors in the body"),
    ]
    for (method, *arguments), reason in refused:
        with pytest.raises(InferenceServerException) as error:
            client(method, *arguments)
        assert error.value.status() == "403", method
        assert reason in error.value.message()


@pytest.mark.parametrize(("model", "version"), [("delay", ""), ("delay", "2"), ("delay_v1", "")])
def test_shared_memory_in_a_request_is_refused(client: Client, model: str, version: str) -> None:
    shared = tensor("features", vectors(1))
    shared.set_shared_memory("region", 28)
    output = InferRequestedOutput("score")
    output.set_shared_memory("region", 4)
    for inputs, outputs in (([shared], None), ([tensor("features", vectors(1))], [output])):
        with pytest.raises(InferenceServerException) as error:
            client("infer", model, inputs, version, outputs=outputs)
        assert (error.value.status(), "shared memory is not offered" in error.value.message()) == ("400", True)
