"""TLS towards engines over gRPC: whom to believe, who we are, what is said when it fails."""

import pytest
from harness.mesh import engine
from harness.tls import Authority, server_context

grpc = pytest.importorskip("grpc")
pytest.importorskip("tritonclient.grpc")

from harness.grpc_engine import GrpcEngine  # noqa: E402
from tritonclient.grpc import service_pb2 as pb  # noqa: E402
from tritonclient.grpc import service_pb2_grpc as rpc  # noqa: E402


@pytest.fixture(scope="module")
def authority(tmp_path_factory) -> Authority:
    return Authority(tmp_path_factory.mktemp("grpc-ca"))


@pytest.fixture
def secure(authority):
    """Makes gRPC engines behind TLS; with `client_ca` they want a certificate of it."""
    made = []

    def make(client_ca: Authority | None = None) -> GrpcEngine:
        pair = authority.issue(f"gpu{len(made)}")
        tls = grpc.ssl_server_credentials(
            [(pair.key.read_bytes(), pair.cert.read_bytes())],
            client_ca.cert.read_bytes() if client_ca else None,
            client_ca is not None,
        )
        made.append(GrpcEngine("secure", tls=tls))
        return made[-1]

    yield make
    for one in made:
        one.close()


def ask(mesh) -> pb.ModelInferResponse:
    with grpc.insecure_channel(mesh.ready["listen"]) as channel:
        return rpc.GRPCInferenceServiceStub(channel).ModelInfer(pb.ModelInferRequest(model_name="m"))


def why_not(mesh) -> str:
    with pytest.raises(grpc.RpcError) as failed:
        ask(mesh)
    assert failed.value.code() == grpc.StatusCode.UNAVAILABLE
    return failed.value.details()


@pytest.mark.parametrize("scheme", ["https", "grpcs"])
def test_calls_go_to_an_engine_over_tls(start, fake, secure, authority, scheme):
    one = secure()
    url = f"{scheme}://{one.address}"
    mesh = start.run(
        [engine("e1", fake().url, grpc_url=url, tls_ca_file=str(authority.cert))]
    )
    assert [ask(mesh).parameters["engine"].string_param for _ in range(3)] == ["secure"] * 3


def test_an_engine_that_is_not_trusted_gets_nothing_and_says_what_to_set(start, fake, secure):
    one = secure()
    mesh = start.run([engine("e1", fake().url, grpc_url=f"https://{one.address}")])
    reason = why_not(mesh)
    assert "not trusted" in reason and "tls_ca_file" in reason
    assert not one.heard


def test_an_engine_that_wants_a_certificate_gets_ours(start, fake, secure, authority):
    one = secure(client_ca=authority)
    own = authority.issue("router", "DNS:router.example")
    spec = {"grpc_url": f"https://{one.address}", "tls_ca_file": str(authority.cert)}
    without = start.run([engine("e1", fake().url, **spec)])
    assert why_not(without) and not one.heard
    shown = {"tls_client_cert": str(own.cert), "tls_client_key": str(own.key)}
    mesh = start.run([engine("e1", fake().url, **spec, **shown)])
    assert ask(mesh).parameters["engine"].string_param == "secure"


def test_a_port_that_speaks_tls_but_no_http2_is_told_apart(start, fake, authority):
    https = fake("m", tls=server_context(authority.issue("web")))
    mesh = start.run(
        [engine("e1", fake().url, grpc_url=https.url, tls_ca_file=str(authority.cert))]
    )
    assert "ALPN h2" in why_not(mesh)
