"""TLS towards clients: the official client, curl, openssl and Python's ssl against `--tls-cert`."""

import contextlib
import json
import shutil
import ssl
import subprocess
import threading

import httpx
import openai
import pytest
from harness import fake_engine as fe
from harness.mesh import run_cli
from harness.routes import body_of
from harness.tls import Authority, TlsWire, client_context, connect_raw, openssl
from harness.wait import eventually
from harness.wire import Closed

CHAT = json.dumps(body_of("/v1/chat/completions")).encode()
STREAM = json.dumps(body_of("/v1/chat/completions", stream=True)).encode()


@pytest.fixture(scope="module")
def authority(tmp_path_factory) -> Authority:
    return Authority(tmp_path_factory.mktemp("ca"))


@pytest.fixture(scope="module")
def pair(authority):
    return authority.issue("mesh")


@pytest.fixture
def secure(routed, pair):
    """A router that speaks TLS, before one scripted engine: (mesh, engine)."""

    def make(**settings):
        return routed(**{"tls_cert": pair.cert, "tls_key": pair.key, **settings})

    return make


def wire_to(mesh, authority, client=None, **options) -> TlsWire:
    return TlsWire(mesh.address, client_context(authority.cert, client), **options)


def chat(wire: TlsWire, body: bytes = CHAT):
    wire.request("POST", "/v1/chat/completions", body)
    return wire.answer()


# ---- clients


def test_the_openai_client_speaks_https(secure, authority):
    mesh, _ = secure()
    client = openai.OpenAI(
        base_url=f"https://localhost:{mesh.address[1]}/v1",
        api_key="any",
        max_retries=0,
        http_client=httpx.Client(verify=client_context(authority.cert)),
    )
    message = [{"role": "user", "content": "hi"}]
    whole = client.chat.completions.create(model="m", messages=message)
    assert whole.choices[0].message.content == "one two three"
    streamed = client.chat.completions.create(model="m", messages=message, stream=True)
    assert "".join(chunk.choices[0].delta.content or "" for chunk in streamed) == "one two three"


def test_curl_speaks_tls_1_3_and_streams(secure, authority):
    mesh, _ = secure()
    url = f"https://localhost:{mesh.address[1]}/v1/chat/completions"
    said = subprocess.run(
        ["curl", "-sS", "-v", "-N", "--http1.1", "--cacert", authority.cert, url, "-d", STREAM],
        capture_output=True,
        timeout=10,
    )
    assert said.returncode == 0, said.stderr.decode()
    assert said.stdout.decode().rstrip().endswith("data: [DONE]")
    assert b"TLSv1.3" in said.stderr and b"server accepted http/1.1" in said.stderr


def test_curl_speaks_http2_where_both_can(secure, authority):
    mesh, _ = secure()
    url = f"https://localhost:{mesh.address[1]}/v1/chat/completions"
    said = subprocess.run(
        ["curl", "-sS", "-N", "--http2", "--cacert", authority.cert, url, "-d", STREAM]
        + ["-w", "%{http_version}"],
        capture_output=True,
        timeout=10,
    )
    assert said.returncode == 0, said.stderr.decode()
    assert said.stdout.decode().endswith("data: [DONE]\n\n2")


def test_without_http2_only_http_1_1_is_agreed_on(secure, authority):
    mesh, _ = secure()
    context = client_context(authority.cert)
    context.set_alpn_protocols(["nonsense", "http/1.1"])
    with TlsWire(mesh.address, context) as wire:
        assert wire.socket.selected_alpn_protocol() == "http/1.1"
        assert chat(wire).status == 200
    context = client_context(authority.cert)
    context.set_alpn_protocols(["nonsense"])
    with pytest.raises(ssl.SSLError, match="(?i)alert"):
        TlsWire(mesh.address, context)


def test_old_tls_is_spoken_only_when_allowed(secure, authority):
    old = client_context(authority.cert)
    old.maximum_version = ssl.TLSVersion.TLSv1_2
    mesh, _ = secure()
    with pytest.raises(ssl.SSLError, match="(?i)protocol.version"):
        TlsWire(mesh.address, old)
    lenient, _ = secure(tls_min_version="1.2")
    with TlsWire(lenient.address, old) as wire:
        assert wire.socket.version() == "TLSv1.2" and chat(wire).status == 200


def test_a_session_is_resumed_on_any_shard(secure, authority, tmp_path):
    mesh, _ = secure(shards=2)
    port = mesh.address[1]
    session = tmp_path / "session.pem"
    request = b"GET /v1/models HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"
    base = ["s_client", "-connect", f"localhost:{port}", "-CAfile", authority.cert, "-ign_eof"]
    first = openssl(*base, "-sess_out", session, data=request)
    assert b"New, TLSv1.3" in first.stdout, first.stdout.decode()
    for _ in range(6):  # the kernel spreads connections over the shards
        again = openssl(*base, "-sess_in", session, data=request)
        assert b"Reused, TLSv1.3" in again.stdout, again.stdout.decode()
    assert mesh.metric("infermesh_tls_handshakes_total", result="resumed") == 6


def test_each_name_is_shown_its_own_certificate(routed, authority, pair):
    other = authority.issue("other", "DNS:other.example")
    mesh, _ = routed(tls_cert=f"{pair.cert},{other.cert}", tls_key=f"{pair.key},{other.key}")
    with wire_to(mesh, authority) as wire:
        assert wire.names() == {"localhost"}
    with wire_to(mesh, authority, name="other.example") as wire:
        assert wire.names() == {"other.example"} and chat(wire).status == 200


# ---- who may come in


def test_mutual_tls_takes_its_own_and_refuses_others(secure, authority, tmp_path):
    mesh, engine = secure(tls_client_ca=authority.cert)
    with wire_to(mesh, authority, authority.issue("client", "DNS:client.example")) as wire:
        assert chat(wire).status == 200
    strangers = Authority(tmp_path / "strangers", "stranger CA")
    for shown in (None, strangers.issue("stranger", "DNS:x.example")):
        with pytest.raises((Closed, ssl.SSLError, ConnectionError)):
            with wire_to(mesh, authority, shown) as wire:
                chat(wire)
    assert len(engine.heard) == 1
    assert mesh.metric("infermesh_tls_handshakes_total", result="failed") == 2


def test_an_optional_client_certificate_may_be_left_out(secure, authority):
    mesh, _ = secure(tls_client_ca=authority.cert, tls_client_auth="optional")
    with wire_to(mesh, authority) as wire:
        assert chat(wire).status == 200


def test_plain_http_is_told_to_speak_tls(secure):
    mesh, engine = secure()
    answer = mesh.chat("hello")
    assert answer.status == 400 and answer.json()["error"]["code"] == "https_required"
    assert not engine.heard
    assert mesh.metric("infermesh_tls_handshakes_total", result="plain_http") == 1


def test_a_stalled_handshake_is_cut_and_holds_nobody_up(secure, authority):
    mesh, _ = secure(tls_handshake_timeout="300ms", shards=1)
    stalled = [connect_raw(mesh.address) for _ in range(20)]
    for one in stalled[:10]:
        one.sendall(b"\x16\x03\x01\x02\x00\x01")
    with wire_to(mesh, authority) as wire:
        assert chat(wire).status == 200
    for one in stalled:
        assert one.recv(1) == b""
        one.close()
    assert mesh.metric("infermesh_tls_handshakes_total", result="timeout") == 20


# ---- streams


def test_a_slow_reader_gets_a_large_answer_whole(secure, authority):
    mesh, engine = secure()
    value = {**fe.chat_body(), "pad": "".join(str(i) for i in range(800_000))}
    body = json.dumps(value).encode()  # 4.7 MB
    engine.default = fe.json_reply(value)
    with wire_to(mesh, authority, receive_buffer=8192) as wire:
        wire.request("POST", "/v1/chat/completions", CHAT)
        head = wire.head()
        got = b""
        while len(got) < 500_000:
            got += wire.take(1000)
        head.body = got + wire.take(len(body) - len(got))
        assert head.body == body


def test_a_large_request_arrives_whole(secure, authority):
    mesh, engine = secure()
    body = json.dumps(body_of("/v1/chat/completions", user="x" * 3_000_000)).encode()
    with wire_to(mesh, authority) as wire:
        assert chat(wire, body).status == 200
    assert bytes(engine.heard[0].body) == body


@pytest.mark.parametrize("leave", ["close", "reset", "unwrap"])
def test_leaving_in_mid_stream_cancels_upstream(secure, authority, leave):
    mesh, engine = secure()
    engine.default = fe.endless(fe.chat_chunk({"content": "x"}), gap=0.01)
    wire = wire_to(mesh, authority)
    wire.request("POST", "/v1/chat/completions", STREAM)
    wire.head()
    wire.chunk()
    if leave == "unwrap":  # close_notify, as an orderly client says goodbye
        wire.socket.settimeout(0)
        with contextlib.suppress(ssl.SSLError, OSError):  # whatever of the stream is on its way
            wire.socket.unwrap()
    else:
        getattr(wire, leave)()
    eventually(lambda: engine.heard[0].gone_at, "the engine sees the connection close")


def test_a_broken_stream_ends_without_goodbye(secure, authority):
    mesh, engine = secure()
    engine.default = fe.stream(*fe.chat_pieces()[:2], end="reset")
    with wire_to(mesh, authority) as wire:
        wire.request("POST", "/v1/chat/completions", STREAM)
        answer = wire.answer()
        assert not answer.whole and '"error"' in answer.events()[-1].data


# ---- changing certificates


def replace(pair, new) -> None:
    shutil.copy(new.cert, pair.cert)
    shutil.copy(new.key, pair.key)


@pytest.fixture
def own_pair(authority, tmp_path):
    """A pair of the test's own, which it may overwrite."""
    pair = authority.issue("own-" + tmp_path.name, f"DNS:first.example,{'DNS:localhost,IP:127.0.0.1'}")
    return pair


def shown_names(mesh, authority) -> set[str]:
    with wire_to(mesh, authority) as wire:
        return wire.names()


def test_changed_certificates_are_taken_and_no_stream_is_cut(routed, authority, own_pair):
    mesh, engine = routed(tls_cert=own_pair.cert, tls_key=own_pair.key)
    gate = threading.Event()
    pieces = fe.chat_pieces()
    engine.default = fe.held(gate, fe.stream(*pieces))
    with wire_to(mesh, authority) as kept, wire_to(mesh, authority) as busy:
        busy.request("POST", "/v1/chat/completions", STREAM)
        engine.wait_whole()
        replace(own_pair, authority.issue("next", "DNS:localhost,DNS:next.example"))
        eventually(
            lambda: "next.example" in shown_names(mesh, authority), "the new certificate is shown"
        )
        gate.set()
        assert busy.answer().events()[-1].data == "[DONE]"
        engine.default = fe.plausible
        assert chat(kept).status == 200
    assert mesh.metric("infermesh_tls_reloads_total", result="ok") == 1


def test_a_bad_pair_leaves_the_old_one_and_is_told(routed, authority, own_pair):
    mesh, _ = routed(tls_cert=own_pair.cert, tls_key=own_pair.key)
    assert mesh.cli("check").returncode == 0
    stranger = authority.issue("stranger", "DNS:localhost,DNS:stranger.example")
    good = own_pair.key.read_bytes()
    shutil.copy(stranger.key, own_pair.key)
    mesh.program.signal(1)  # SIGHUP: at once
    refused = lambda: mesh.metric("infermesh_tls_reloads_total", result="refused")  # noqa: E731
    eventually(lambda: refused() == 1, "the reload is refused")
    assert "first.example" in shown_names(mesh, authority)
    checked = mesh.cli("check")
    assert checked.returncode == 1 and "is not the key of certificate" in checked.stdout
    assert "not the key of" in mesh.log()
    own_pair.key.write_bytes(good)
    mesh.program.signal(1)
    eventually(lambda: mesh.cli("check").returncode == 0, "all is well again")


def test_check_and_metrics_tell_when_a_certificate_ends(routed, authority):
    soon = authority.issue("soon", days=3)
    mesh, _ = routed(tls_cert=soon.cert, tls_key=soon.key)
    left = mesh.metric("infermesh_tls_expiry_seconds", file=str(soon.cert))
    assert 2.9 * 86400 < left <= 3 * 86400
    checked = mesh.cli("check")
    assert checked.returncode == 0 and "runs out in" in checked.stdout
    assert f"https://127.0.0.1:{mesh.address[1]}/v1/models answers" in checked.stdout
    assert mesh.status()["certificates"][0]["names"] == "localhost, 127.0.0.1"


# ---- starting


def start_with(*flags: object):
    return run_cli("run", "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0", *map(str, flags))


def test_bad_files_stop_the_start_with_what_is_wrong(authority, pair, tmp_path):
    junk = tmp_path / "junk.pem"
    junk.write_text("nothing\n")
    other, old = authority.issue("other2"), authority.issue("old", days=-1)
    for flags, words in (
        (("--tls-cert", junk, "--tls-key", pair.key), ["junk.pem", "no PEM certificate"]),
        (("--tls-cert", pair.cert, "--tls-key", junk), ["junk.pem", "no PEM private key"]),
        (("--tls-cert", pair.cert, "--tls-key", other.key), ["is not the key of", "CN = mesh"]),
        (("--tls-cert", old.cert, "--tls-key", old.key), ["CN = old", "has run out"]),
        (("--tls-cert", tmp_path / "no.pem", "--tls-key", pair.key), ["no.pem", "no such file"]),
        (("--tls-cert", pair.cert), ["tls_key", "needs its key"]),
        (("--tls-client-ca", pair.cert), ["tls_client_ca", "add tls_cert"]),
    ):
        ended = start_with(*flags)
        assert ended.returncode == 2, (flags, ended.stderr)
        assert all(word in ended.stderr for word in words), (words, ended.stderr)
