"""gRPC of KServe v2: calls are routed by the model of their first message and pass as bytes. The
clients are grpcio and the official Triton client.
"""

import threading

import pytest
from harness.mesh import engine as engine_object
from harness.mesh import policy, pool
from harness.process import resident_bytes
from harness.wait import MEMORY_TELLS, eventually

grpc = pytest.importorskip("grpc")
triton = pytest.importorskip("tritonclient.grpc")

from harness.grpc_engine import OPTIONS, GrpcEngine, hang, refuse  # noqa: E402
from tritonclient.grpc import service_pb2 as pb  # noqa: E402
from tritonclient.grpc import service_pb2_grpc as rpc  # noqa: E402

SERVICE = "/inference.GRPCInferenceService/"


@pytest.fixture
def engines():
    made = [GrpcEngine("e1"), GrpcEngine("e2")]
    yield made
    for one in made:
        one.close()


@pytest.fixture
def mesh(start, fake, engines):
    return start.run(
        [engine_object(one.name, fake().url, grpc_url=f"http://{one.address}") for one in engines]
    )


@pytest.fixture
def channel(mesh):
    with grpc.insecure_channel(f"{mesh.address[0]}:{mesh.address[1]}", OPTIONS) as made:
        yield made


@pytest.fixture
def stub(channel):
    return rpc.GRPCInferenceServiceStub(channel)


def asked(model: str = "m", tensor: bytes = b"tensor", **fields: object) -> pb.ModelInferRequest:
    return pb.ModelInferRequest(model_name=model, raw_input_contents=[tensor], **fields)


def test_a_call_reaches_an_engine_of_its_model_and_comes_back_whole(stub, mesh, engines):
    answer, call = stub.ModelInfer.with_call(asked(id="7"), metadata=[("x-request-id", "mine")])
    assert answer.id == "7" and answer.raw_output_contents == [b"tensor"]
    assert call.code() == grpc.StatusCode.OK
    head = dict(call.initial_metadata())
    assert head["x-request-id"] == "mine" and head["x-infermesh-engine"] in ("e1", "e2")
    heard = next(one for one in engines if one.heard)
    assert heard.metadata[0]["x-request-id"] == "mine.1"
    record = mesh.decision("mine")
    assert record["status"] == 200 and record["attempts"][0]["engine"] == heard.name
    assert mesh.metric("infermesh_requests_total", api="grpc", model="m", code="200") == 1


def test_calls_spread_over_the_engines(stub, engines):
    calls = [stub.ModelInfer.future(asked(id=str(i))) for i in range(40)]
    assert [call.result(10).id for call in calls] == [str(i) for i in range(40)]
    assert all(len(one.heard) >= 10 for one in engines)


def test_a_stream_stays_with_one_engine_whatever_its_messages_name(stub, engines):
    messages = [asked(id=str(i)) for i in range(20)] + [asked("other", id="20")]
    answers = [said.infer_response.id for said in stub.ModelStreamInfer(iter(messages))]
    assert answers == [str(i) for i in range(21)]
    assert sorted(len(one.heard) for one in engines) == [0, 21]


def test_answers_of_a_stream_come_while_it_is_open(stub, engines):
    more = threading.Event()

    def messages():
        yield asked(id="0")
        more.wait(10)
        yield asked(id="1")

    answers = stub.ModelStreamInfer(messages())
    assert next(answers).infer_response.id == "0"
    more.set()
    assert next(answers).infer_response.id == "1"
    assert list(answers) == []


def test_a_decoupled_model_may_answer_often_or_never(stub, engines):
    for one in engines:
        one.stream = lambda requests, context: (
            pb.ModelStreamInferResponse(infer_response=pb.ModelInferResponse(id=str(i)))
            for request in requests
            for i in range(int(request.id))
        )
    answers = stub.ModelStreamInfer(iter([asked(id="0"), asked(id="3")]))
    assert [said.infer_response.id for said in answers] == ["0", "1", "2"]


def test_a_status_passes_with_its_message_and_trailers(stub, engines):
    for one in engines:
        one.infer = refuse(grpc.StatusCode.INVALID_ARGUMENT, "bad shape: é")
    with pytest.raises(grpc.RpcError) as failed:
        stub.ModelInfer(asked())
    assert failed.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert failed.value.details() == "bad shape: é"
    assert dict(failed.value.trailing_metadata())["x-why"] == "because"
    assert sum(len(one.heard) for one in engines) == 1, "the engine meant it"


def test_an_engine_that_cannot_now_is_replaced(stub, mesh, engines):
    engines[0].infer = refuse(grpc.StatusCode.UNAVAILABLE, "loading")
    for i in range(6):
        assert stub.ModelInfer(asked(id=str(i))).parameters["engine"].string_param == "e2"
    assert mesh.metric("infermesh_retries_total") >= 1


def test_an_engine_that_is_gone_is_replaced(stub, engines):
    engines[0].close()
    for i in range(6):
        assert stub.ModelInfer(asked(id=str(i))).parameters["engine"].string_param == "e2"


@pytest.mark.parametrize(
    ("model", "code", "words"),
    [("none", grpc.StatusCode.NOT_FOUND, "none"), ("", grpc.StatusCode.INVALID_ARGUMENT, "model")],
)
def test_a_model_that_is_not_served_is_a_status(stub, model, code, words):
    with pytest.raises(grpc.RpcError) as failed:
        stub.ModelInfer(asked(model))
    assert failed.value.code() == code and words in failed.value.details()


def test_without_a_grpc_address_an_engine_is_not_asked(start, fake):
    mesh = start.run([engine_object("e1", fake().url)])
    with grpc.insecure_channel(f"{mesh.address[0]}:{mesh.address[1]}") as channel:
        with pytest.raises(grpc.RpcError) as failed:
            rpc.GRPCInferenceServiceStub(channel).ModelInfer(asked())
    assert failed.value.code() == grpc.StatusCode.UNIMPLEMENTED


def test_a_cancelled_call_is_cancelled_at_the_engine(stub, mesh, engines):
    for one in engines:
        one.infer = hang
    call = stub.ModelInfer.future(asked())
    heard = eventually(lambda: next((one for one in engines if one.heard), None), "it is there")
    call.cancel()
    assert heard.gone.wait(2)
    eventually(lambda: mesh.metric("infermesh_cancelled_total", api="grpc") == 1, "it is counted")


def test_a_deadline_passes_with_what_is_left_of_it(stub, engines):
    for one in engines:
        one.infer = hang
    with pytest.raises(grpc.RpcError) as failed:
        stub.ModelInfer(asked(), timeout=0.3)
    assert failed.value.code() == grpc.StatusCode.DEADLINE_EXCEEDED
    heard = next(one for one in engines if one.heard)
    assert 0 < heard.time_left[0] <= 0.3
    assert heard.gone.wait(2)


def test_a_compressed_call_is_routed_by_what_is_in_it(stub, engines):
    answer = stub.ModelInfer(asked(tensor=b"x" * 100_000), compression=grpc.Compression.Gzip)
    assert answer.raw_output_contents == [b"x" * 100_000]


def test_a_large_tensor_passes_without_being_held(stub, mesh, engines):
    stub.ModelInfer(asked())
    before = resident_bytes(mesh.program.process.pid)
    tensor = b"x" * (48 << 20)
    assert stub.ModelInfer(asked(tensor=tensor)).raw_output_contents[0] == tensor
    grown = resident_bytes(mesh.program.process.pid) - before
    assert grown < 12 << 20 or not MEMORY_TELLS, f"{grown} bytes more"


def test_the_official_client_finds_its_way(mesh, engines):
    import numpy

    client = triton.InferenceServerClient(f"{mesh.address[0]}:{mesh.address[1]}")
    assert client.is_server_live() and client.is_server_ready()
    assert client.is_model_ready("m")
    assert client.get_server_metadata().name == "infermesh"
    assert client.get_model_metadata("m").platform in ("e1", "e2")
    assert [found.name for found in client.get_model_repository_index().models] == ["m"]
    tensor = triton.InferInput("in", [4], "FP32")
    tensor.set_data_from_numpy(numpy.arange(4, dtype=numpy.float32))
    assert client.infer("m", [tensor]).get_response().model_name == "m"
    with pytest.raises(triton.InferenceServerException, match="ask that engine"):
        client.load_model("m")
    with pytest.raises(triton.InferenceServerException, match="ask that engine"):
        client.register_system_shared_memory("a", "/b", 8)
    client.close()


def test_health_is_told_by_the_router(channel, mesh):
    check = channel.unary_unary("/grpc.health.v1.Health/Check")
    assert check(b"") == b"\x08\x01", "SERVING"
    unknown = channel.unary_unary("/some.Service/Method")
    with pytest.raises(grpc.RpcError) as failed:
        unknown(b"")
    assert failed.value.code() == grpc.StatusCode.UNIMPLEMENTED


def test_requests_of_a_sequence_keep_to_one_engine(start, fake, engines):
    named = [
        engine_object(one.name, fake().url, grpc_url=f"http://{one.address}") for one in engines
    ]
    sticky = policy("sticky", "session", session_body_key="sequence_id")
    of_both = pool("p", ["e1", "e2"], policy="sticky")
    mesh = start.run([*named, sticky, of_both])
    homes = {}
    with triton.InferenceServerClient(mesh.ready["listen"]) as client:
        for _ in range(3):
            for sequence in range(1, 9):
                tensor = triton.InferInput("in", [1], "BYTES")
                tensor._input.shape[:] = [0]
                said = client.infer("m", [tensor], sequence_id=sequence).get_response()
                homes.setdefault(sequence, set()).add(said.parameters["engine"].string_param)
    assert all(len(used) == 1 for used in homes.values()), homes
    assert set().union(*homes.values()) == {"e1", "e2"}
