"""gRPC of KServe v2 before real servers: Triton and MLServer, asked by Triton's own client."""

import queue

import numpy as np
import pytest
from harness.kserve import KserveServer
from harness.mesh import engine, model, pool
from harness.wait import DEADLINE

grpc = pytest.importorskip("grpc")
triton = pytest.importorskip("tritonclient.grpc")

from tritonclient.grpc import service_pb2 as pb  # noqa: E402
from tritonclient.utils import InferenceServerException  # noqa: E402


@pytest.fixture(params=["triton", "mlserver"])
def server(request, kserve_server) -> KserveServer:
    return kserve_server(request.param)


@pytest.fixture
def mesh(start, server):
    return start.run([engine(server.name, server.url, grpc_url=server.grpc_url)])


@pytest.fixture
def client(mesh):
    with triton.InferenceServerClient(mesh.ready["listen"]) as made:
        yield made


def numbers(*values: float) -> triton.InferInput:
    tensor = triton.InferInput("x", [len(values)], "FP32")
    tensor.set_data_from_numpy(np.array(values, dtype=np.float32))
    return tensor


def text(words: str) -> triton.InferInput:
    tensor = triton.InferInput("text_input", [1], "BYTES")
    tensor.set_data_from_numpy(np.array([words.encode()], dtype=np.object_))
    return tensor


def test_a_tensor_comes_back_computed(client):
    answer = client.infer("tiny", [numbers(1.5, -2, 0)], request_id="r-1")
    assert answer.as_numpy("y").flatten().tolist() == [4, -3, 1]
    assert answer.get_response().id == "r-1" and answer.get_response().model_name == "tiny"


def test_a_tensor_of_many_mebibytes_goes_both_ways(client, server):
    count = 2_000_000 if server.name == "triton" else 900_000  # MLServer takes 4 MiB at most
    values = np.arange(count, dtype=np.float32)
    tensor = triton.InferInput("x", [len(values)], "FP32")
    tensor.set_data_from_numpy(values)
    assert np.array_equal(client.infer("tiny", [tensor]).as_numpy("y").flatten(), 2 * values + 1)


def test_ready_and_metadata(client, server):
    assert client.is_server_live() and client.is_server_ready()
    assert client.is_model_ready("tiny")
    metadata = client.get_model_metadata("tiny")
    assert metadata.name == "tiny"
    if server.name == "triton":
        assert metadata.inputs[0].datatype == "FP32"
        assert client.get_model_config("words").config.model_transaction_policy.decoupled
        stats = client.get_inference_statistics("tiny").model_stats
        assert [entry.name for entry in stats] == ["tiny"]
    index = {found.name for found in client.get_model_repository_index().models}
    assert index == {"tiny", "words"}


def test_what_fails_says_so(client, server):
    with pytest.raises(InferenceServerException, match="is not served here"):
        client.infer("nothing", [numbers(1)])
    with pytest.raises(InferenceServerException) as failed:
        client.infer("tiny", [])
    assert "StatusCode" in failed.value.status()
    if server.name == "triton":
        assert "expected 1 inputs but got 0" in failed.value.message()


def test_a_version_is_the_engines_to_judge(client, server):
    version = "1" if server.name == "triton" else "v1"
    answer = client.infer("tiny", [numbers(1)], model_version=version)
    assert answer.get_response().model_version == version
    with pytest.raises(InferenceServerException):
        client.infer("tiny", [numbers(1)], model_version="9")


def answers_of(client, *requests: str, model: str = "words") -> list[str]:
    """What a decoupled model says to each request on one stream, in order."""
    said: queue.Queue = queue.Queue()
    client.start_stream(lambda result, error: said.put(error or result))
    for number, words in enumerate(requests):
        client.async_stream_infer(
            model, [text(words)], request_id=str(number), enable_empty_final_response=True
        )
    heard = []
    ends = 0
    while ends < len(requests):
        result = said.get(timeout=DEADLINE)
        if isinstance(result, InferenceServerException):
            heard.append(f"error: {result.message()}")
            continue
        response = result.get_response()
        if response.parameters["triton_final_response"].bool_param:
            ends += 1
        else:
            heard.append(f"{response.id} {result.as_numpy('text_output')[0].decode()}")
    client.stop_stream()
    return heard


def test_a_decoupled_stream_of_triton(start, kserve_server):
    server = kserve_server("triton")
    mesh = start.run([engine("t", server.url, grpc_url=server.grpc_url)])
    with triton.InferenceServerClient(mesh.ready["listen"]) as client:
        said = answers_of(client, "one two three", "", "four")
        assert sorted(said) == ["0 one", "0 three", "0 two", "2 four"]
        assert "error: told to fail" in answers_of(client, "one fail")


def test_a_stream_of_mlserver(start, kserve_server):
    server = kserve_server("mlserver")
    mesh = start.run([engine("m", server.url, grpc_url=server.grpc_url)])
    request = pb.ModelInferRequest(model_name="words", id="s")
    tensor = request.inputs.add(name="text_input", datatype="BYTES", shape=[1])
    tensor.contents.bytes_contents.append(b"one two three")
    with grpc.insecure_channel(mesh.ready["listen"]) as channel:
        stream = channel.stream_stream(
            "/inference.GRPCInferenceService/ModelStreamInfer",
            request_serializer=pb.ModelInferRequest.SerializeToString,
            response_deserializer=pb.ModelInferResponse.FromString,  # without Triton's wrapping
        )
        said = list(stream(iter([request])))
    assert [one.outputs[0].contents.bytes_contents[0] for one in said] == [b"one", b"two", b"three"]
    assert {one.model_name for one in said} == {"words"}


def test_one_pool_of_both_kinds_answers_alike(start, kserve_server):
    both = [kserve_server("triton"), kserve_server("mlserver")]
    mesh = start.run(
        [
            *(engine(one.name, one.url, grpc_url=one.grpc_url) for one in both),
            pool("tiny", [one.name for one in both], policy="round_robin"),
            model("tiny", "tiny"),
        ]
    )
    with triton.InferenceServerClient(mesh.ready["listen"]) as client:
        for count in range(6):
            headers = {"x-request-id": f"r-{count}"}
            answer = client.infer("tiny", [numbers(1, count)], headers=headers)
            assert answer.as_numpy("y").flatten().tolist() == [3, 2 * count + 1]
    engines = {mesh.decision(f"r-{count}")["attempts"][0]["engine"] for count in range(6)}
    assert engines == {"triton", "mlserver"}
