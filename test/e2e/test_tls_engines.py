"""TLS towards engines: https urls, whom to believe, who we are, sessions."""

import json

import pytest
from harness import fake_engine as fe
from harness.mesh import engine
from harness.routes import body_of
from harness.tls import Authority, server_context
from harness.wait import eventually

STREAM = json.dumps(body_of("/v1/chat/completions", stream=True)).encode()


@pytest.fixture(scope="module")
def authority(tmp_path_factory) -> Authority:
    return Authority(tmp_path_factory.mktemp("engine-ca"))


@pytest.fixture(scope="module")
def pair(authority):
    return authority.issue("gpu")


def reason_of(mesh, name: str = "e1") -> str:
    """Why an engine is not ready, once it has been asked."""
    return eventually(
        lambda: mesh.engines()[name]["reason"] if mesh.engine_state(name) == "down" else None,
        f"engine {name} is down",
    )


def test_requests_and_streams_go_to_an_https_engine(start, fake, authority, pair):
    one = fake("m", tls=server_context(pair))
    mesh = start.run([engine("e1", one.url, tls_ca_file=str(authority.cert))])
    assert mesh.chat().json()["choices"][0]["message"]["content"] == "one two three"
    with mesh.wire() as wire:
        wire.request("POST", "/v1/chat/completions", STREAM)
        answer = wire.answer()
        assert answer.whole and answer.events()[-1].data == "[DONE]"
    assert mesh.engines()["e1"]["url"] == one.url
    assert one.heard[0].header("host") == f"127.0.0.1:{one.port}"


def test_connections_to_an_https_engine_are_kept_and_sessions_resumed(start, fake, authority, pair):
    one = fake("m", tls=server_context(pair))
    mesh = start.run(
        [engine("e1", one.url, tls_ca_file=str(authority.cert))],
        shards=1,
        poll_interval_max="60s",
        poll_interval_min="60s",
    )
    for _ in range(3):
        assert mesh.chat().status == 200
    assert len({heard.connection for heard in one.heard}) == 1
    reused = []

    async def note(exchange):
        session = exchange.connection.transport.get_extra_info("ssl_object")
        reused.append(session.session_reused)
        await fe.plausible(exchange)

    one.default = note
    one.drop_connections()
    assert mesh.chat().status == 200
    assert reused == [True]


def test_an_engine_with_an_unknown_ca_is_down_and_says_what_to_set(start, fake, pair):
    one = fake("m", tls=server_context(pair))
    mesh = start.run([engine("e1", one.url)], ready=0)
    reason = reason_of(mesh)
    assert "not trusted" in reason and "tls_ca_file" in reason
    checked = mesh.cli("check")
    assert checked.returncode == 1 and "tls_ca_file" in checked.stdout
    refused = mesh.chat()
    assert refused.status in (404, 503) and not one.heard


def test_a_ca_that_is_put_right_brings_the_engine_up(start, fake, authority, pair, tmp_path):
    one = fake("m", tls=server_context(pair))
    trusted = tmp_path / "trusted.pem"
    trusted.write_bytes(Authority(tmp_path / "other", "other CA").cert.read_bytes())
    mesh = start.run([engine("e1", one.url, tls_ca_file=str(trusted))], ready=0)
    assert "not trusted" in reason_of(mesh)
    trusted.write_bytes(authority.cert.read_bytes())
    mesh.wait_state("e1", "ready")
    assert mesh.chat().status == 200


def test_the_wrong_name_is_told_and_can_be_expected(start, fake, authority):
    one = fake("m", tls=server_context(authority.issue("named", "DNS:gpu.example")))
    mesh = start.run([engine("e1", one.url, tls_ca_file=str(authority.cert))], ready=0)
    reason = reason_of(mesh)
    assert "gpu.example" in reason and "tls_server_name" in reason
    mesh.write(
        [
            engine(
                "e1", one.url, tls_ca_file=str(authority.cert), tls_server_name="gpu.example"
            )
        ]
    )
    mesh.wait_state("e1", "ready")
    assert mesh.chat().status == 200


def test_skipping_verification_has_to_be_asked_for_by_its_name(start, fake, pair):
    one = fake("m", tls=server_context(pair))
    mesh = start.run([engine("e1", one.url, tls_insecure_skip_verify="on")])
    assert mesh.chat().status == 200


def test_an_engine_that_wants_a_client_certificate_gets_ours(start, fake, authority, pair):
    one = fake("m", tls=server_context(pair, client_ca=authority.cert))
    mesh = start.run([engine("e1", one.url, tls_ca_file=str(authority.cert))], ready=0)
    assert "tls_client_cert" in reason_of(mesh)
    own = authority.issue("router", "DNS:router.example")
    mesh.write(
        [
            engine(
                "e1",
                one.url,
                tls_ca_file=str(authority.cert),
                tls_client_cert=str(own.cert),
                tls_client_key=str(own.key),
            )
        ]
    )
    mesh.wait_state("e1", "ready")
    assert mesh.chat().status == 200


def test_https_to_an_engine_that_speaks_none_says_so(start, sim_engine):
    plain = sim_engine()
    mesh = start.run([engine("e1", plain.replace("http:", "https:"))], ready=0)
    reason = reason_of(mesh)
    assert "does not speak TLS" in reason and "http://" in reason


def test_an_https_engine_that_fails_is_retried_elsewhere(start, fake, authority, pair):
    one, two = (fake("m", tls=server_context(pair)) for _ in range(2))
    ca = {"tls_ca_file": str(authority.cert)}
    mesh = start.run([engine("e1", one.url, **ca), engine("e2", two.url, **ca)])
    one.default = two.default = fe.reset_at_once()
    two.default = fe.plausible
    for _ in range(4):
        assert mesh.chat().status == 200


def test_leaving_cancels_at_an_https_engine(start, fake, authority, pair):
    one = fake("m", tls=server_context(pair))
    mesh = start.run([engine("e1", one.url, tls_ca_file=str(authority.cert))])
    one.default = fe.endless(fe.chat_chunk({"content": "x"}), gap=0.01)
    with mesh.wire() as wire:
        wire.request("POST", "/v1/chat/completions", STREAM)
        wire.head()
        wire.chunk()
    eventually(lambda: one.heard[0].gone_at, "the engine sees the connection close")


def test_a_simulated_https_engine_on_the_command_line_needs_a_system_ca(start, fake, pair):
    one = fake("m", tls=server_context(pair))
    mesh = start.make("up", ["--engine", one.url], {})
    assert "not trusted" in reason_of(mesh)


