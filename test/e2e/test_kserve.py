"""KServe v2 before real servers: Triton and MLServer, asked by Triton's own client and by hand."""

import numpy as np
import pytest
import tritonclient.http as triton_http
from harness import kserve
from harness.mesh import engine, model, pool
from harness.wait import eventually
from harness.wire import call
from tritonclient.utils import InferenceServerException

JSON = {"content-type": "application/json"}


@pytest.fixture
def triton(kserve_server):
    return kserve_server("triton")


@pytest.fixture
def mlserver(kserve_server):
    return kserve_server("mlserver")


@pytest.fixture
def mesh(start, triton):
    return start.up(triton.url)


@pytest.fixture
def client(mesh):
    made = triton_http.InferenceServerClient(mesh.ready["listen"])
    yield made
    made.close()


def tensor(values: np.ndarray, binary: bool = True) -> triton_http.InferInput:
    made = triton_http.InferInput("x", list(values.shape), "FP32")
    made.set_data_from_numpy(values, binary_data=binary)
    return made


def json_request(*values: float) -> dict:
    x = {"name": "x", "shape": [len(values)], "datatype": "FP32", "data": list(values)}
    return {"id": "r-1", "inputs": [x]}


@pytest.mark.parametrize("binary", [True, False])
def test_tensors_come_back_computed(client, binary):
    wanted = triton_http.InferRequestedOutput("y", binary_data=binary)
    values = np.array([1.5, -2.0, 0.0], dtype=np.float32)
    answer = client.infer("tiny", [tensor(values, binary)], request_id="r-1", outputs=[wanted])
    assert np.array_equal(answer.as_numpy("y"), 2 * values + 1)
    assert answer.get_response()["id"] == "r-1"


def test_a_tensor_of_many_mebibytes_goes_both_ways(client):
    values = np.arange(2_000_000, dtype=np.float32)
    answer = client.infer("tiny", [tensor(values)], model_version="1")
    assert np.array_equal(answer.as_numpy("y"), 2 * values + 1)


def test_binary_answers_are_those_of_the_engine_to_the_byte(mesh, triton):
    values = np.array([1, 2, 3, 4], dtype=np.float32)
    wanted = triton_http.InferRequestedOutput("y", binary_data=True)
    body, length = triton_http.InferenceServerClient.generate_request_body(
        [tensor(values)], outputs=[wanted]
    )
    headers = {
        "content-type": "application/octet-stream",
        "Inference-Header-Content-Length": str(length),
    }
    direct = call(("127.0.0.1", triton.port), "POST", "/v2/models/tiny/infer", body, headers=headers)
    routed = mesh.post("/v2/models/tiny/infer", body, headers=headers)
    assert direct.status == routed.status == 200
    assert routed.body == direct.body and routed.body.endswith((2 * values + 1).tobytes())
    for name in ("inference-header-content-length", "content-type", "content-length"):
        assert routed.header(name) == direct.header(name)


def test_health_metadata_and_statistics(client):
    assert client.is_server_live() and client.is_server_ready() and client.is_model_ready("tiny")
    assert client.get_server_metadata()["name"] == "infermesh"
    assert client.get_model_metadata("tiny", "1")["inputs"][0]["datatype"] == "FP32"
    assert client.get_model_config("words")["model_transaction_policy"]["decoupled"]
    assert client.get_inference_statistics("tiny")["model_stats"][0]["name"] == "tiny"
    index = client.get_model_repository_index()
    assert {(entry["name"], entry["state"]) for entry in index} == {
        ("tiny", "READY"),
        ("words", "READY"),
    }


def test_what_fails_says_so(client):
    with pytest.raises(InferenceServerException, match="is not served here"):
        client.infer("nothing", [tensor(np.zeros(1, dtype=np.float32))])
    with pytest.raises(InferenceServerException, match="expected 1 inputs but got 0"):
        client.infer("tiny", [])
    with pytest.raises(InferenceServerException, match="not passed to engines"):
        client.load_model("tiny")
    with pytest.raises(InferenceServerException, match="not passed to engines"):
        client.get_system_shared_memory_status()


def test_a_stream_says_its_words_and_its_error(mesh):
    said = mesh.post("/v2/models/words/generate_stream", {"text_input": "one two three"})
    assert said.status == 200 and said.whole
    assert [event.json()["text_output"] for event in said.events()] == ["one", "two", "three"]
    failed = mesh.post("/v2/models/words/generate_stream", {"text_input": "one fail two"})
    assert [list(event.json())[-1] for event in failed.events()] == ["text_output", "error"]
    assert failed.events()[-1].json() == {"error": "told to fail"} and not failed.whole
    whole = mesh.post("/v2/models/words/generate", {"text_input": "one"})
    assert whole.json()["text_output"] == "one"


def test_mlserver_answers_the_same_way(start, mlserver):
    mesh = start.up(mlserver.url)
    answer = mesh.post("/v2/models/tiny/infer", json_request(1, 2), headers=JSON)
    assert answer.status == 200 and answer.json()["id"] == "r-1"
    assert answer.json()["outputs"][0]["data"] == [3.0, 5.0]
    assert mesh.get("/v2/models/tiny/ready").status == 200
    assert mesh.get("/v2/models/tiny/versions/v1").json()["name"] == "tiny"
    broken = mesh.post("/v2/models/tiny/infer", {"inputs": 1}, headers=JSON)
    assert broken.status == 422 and list(broken.json()) == ["error"]


def test_one_pool_of_both_kinds_loses_nothing_when_one_dies(start, triton, tmp_path):
    other = kserve.start_mlserver(tmp_path)
    try:
        mesh = start.run(
            [
                engine("triton", triton.url),
                engine("mlserver", other.url),
                pool("tiny", ["triton", "mlserver"], policy="round_robin"),
                model("tiny", "tiny"),
            ]
        )
        engines = set()
        for count in range(20):
            if count == 10:
                other.program.kill()
            answer = mesh.post("/v2/models/tiny/infer", json_request(1, count), headers=JSON)
            assert answer.status == 200, answer.body
            assert answer.json()["outputs"][0]["data"] == [3.0, 2.0 * count + 1]
            engines.add(answer.header("x-infermesh-engine"))
        assert engines == {"triton", "mlserver"}
    finally:
        other.program.kill()


def test_llm_routes_are_not_asked_of_a_tensor_server(mesh):
    refused = mesh.chat(model="tiny")
    assert refused.status == 400 and refused.json()["error"]["code"] == "api_not_served"


@pytest.mark.parametrize("kind", ["triton", "mlserver"])
def test_models_are_unloaded_and_loaded_where_the_operator_allows_it(start, kserve_server, kind):
    server = kserve_server(kind)
    mesh = start.up(server.url, model_control="on")
    control = "/v2/repository/models/tiny"
    try:
        assert mesh.post(f"{control}/unload", b"").status == 200
        eventually(lambda: mesh.get("/v2/models/tiny").status != 200, "it is gone")
    finally:
        loaded = mesh.post(f"{control}/load", b"")
    assert loaded.status == 200, loaded.body
    eventually(lambda: mesh.get("/v2/models/tiny/ready").status == 200, "it is back")
    assert mesh.post("/v2/repository/models/none/load", b"").status >= 400


def test_a_version_is_the_engines_to_judge(mesh):
    body = {"inputs": json_request(1)["inputs"]}
    for version, status in (("1", 200), ("9", 404)):
        there = mesh.post(f"/v2/models/tiny/versions/{version}/infer", body, headers=JSON)
        assert there.status == status, there.body
    assert mesh.get("/v2/models/tiny/versions/1").json()["versions"] == ["1"]
    assert mesh.get("/v2/models/tiny/versions/1/config").json()["name"] == "tiny"
