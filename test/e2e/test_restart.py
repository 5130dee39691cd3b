"""A restart without loss: a new process takes the listening sockets from the old one, which ends
what it has begun and then itself.
"""

import json
import pathlib
import signal
import socket
import stat
import threading

import h2.events
import pytest
from harness import fake_engine as fe
from harness.http2 import Http2Client
from harness.mesh import Mesh, engine
from harness.process import Program
from harness.routes import body_of
from harness.tls import Authority, TlsWire, client_context
from harness.wait import SLOW, eventually
from harness.wire import Wire, address_of, call

PATH = "/v1/chat/completions"
CHAT = json.dumps(body_of(PATH)).encode()
STREAM = json.dumps(body_of(PATH, stream=True)).encode()


@pytest.fixture
def handed(routed, tmp_path):
    """A router that hands over, before one scripted engine: (mesh, engine)."""

    def make(**settings):
        return routed(**{"handover": tmp_path / "handover", "drain_timeout": "6s", **settings})

    return make


class Successor:
    """Another process with the settings of `mesh`, but for `changes`."""

    def __init__(self, mesh: Mesh, programs: list[Program], **changes: object):
        name = f"successor{len(programs)}"
        self.ready = mesh.folder / f"{name}.json"
        command = list(mesh.program.command)
        for key, value in {"ready_file": self.ready, **changes}.items():
            flag = "--" + key.replace("_", "-")
            if flag in command:
                command[command.index(flag) + 1] = str(value)
            else:
                command += [flag, str(value)]
        self.program = Program(name, command, mesh.folder)
        programs.append(self.program)

    def serving(self) -> "Successor":
        self.program.wait_json(self.ready)
        return self

    def fails(self) -> str:
        assert self.program.wait() == 2
        self.program.codes = (2,)
        return self.program.log()

    def says(self, text: str) -> None:
        eventually(lambda: text in self.program.log(), f"the successor says: {text}")


# ---- clients that must not notice
class Client:
    """Asks again and again until it is stopped. What goes wrong is kept."""

    def __init__(self, address: tuple[str, int], model: str):
        self.address, self.model = address, model
        self.count = 0
        self.failures: list[str] = []
        self.stopped = threading.Event()
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self) -> None:
        try:
            while not self.stopped.is_set():
                self.converse()
        except Exception as failure:  # every one is a request lost
            self.failures.append(f"{type(self).__name__}, {self.count} answered: {failure!r}")

    def body(self) -> dict:
        return {**body_of(PATH, stream=self.count % 2 == 1), "model": self.model, "max_tokens": 12}

    def took(self, status: int, whole: bool, said: bytes) -> None:
        good = status == 200 and whole and (b"[DONE]" in said or b'"choices"' in said)
        assert good, f"{status} whole={whole} {said[-200:]!r}"
        self.count += 1


class Kept(Client):
    """Keeps its connection until an answer says that it ends."""

    def converse(self) -> None:
        with Wire(self.address) as wire:
            while not self.stopped.is_set():
                wire.request("POST", PATH, json.dumps(self.body()).encode())
                answer = wire.answer()
                self.took(answer.status, answer.whole, answer.body)
                if answer.header("connection") == "close":
                    return
                self.stopped.wait(0.003 * (self.count % 4))  # so that some are between requests


class Fresh(Client):
    """A connection for each request."""

    def converse(self) -> None:
        answer = call(self.address, "POST", PATH, self.body(), within=2 * SLOW)
        self.took(answer.status, answer.whole, answer.body)


class Streams(Client):
    """Keeps an HTTP/2 connection until it is told to go."""

    def converse(self) -> None:
        with PatientHttp2(self.address) as client:
            while not self.stopped.is_set() and client.goaway is None:
                answer = client.answer(client.chat(self.body()))
                self.took(answer.status, answer.ended, bytes(answer.body))


class PatientHttp2(Http2Client):
    """After GOAWAY it reads on, as RFC 9113 has it and h2 by itself does not."""

    def __init__(self, address: tuple[str, int]):
        super().__init__(address)
        self.connection._receive_goaway_frame = self.note_goaway
        self.connection._frame_dispatch_table[h2.connection.GoAwayFrame] = self.note_goaway

    def note_goaway(self, frame):
        told = h2.events.ConnectionTerminated()
        told.last_stream_id = frame.last_stream_id
        return [], [told]


class Watcher(Client):
    """Asks the admin listener, as a supervisor does."""

    def converse(self) -> None:
        answer = call(self.address, "GET", "/livez")
        assert answer.status == 200, answer.status
        self.count += 1


def answered(clients: list[Client]) -> None:
    """Until each has been answered some more."""
    before = [client.count for client in clients]
    for client, count in zip(clients, before):
        eventually(lambda: client.count > count + 20 or client.failures, "all are answered")


def no_failure(clients: list[Client]) -> None:
    for client in clients:
        client.stopped.set()
    for client in clients:
        client.thread.join(10 * SLOW)
    failed = [failure for client in clients for failure in client.failures]
    assert not failed, failed


# ---- nothing is lost
def test_restarts_under_load_lose_no_request(start, fake, sim_engine, programs, tmp_path):
    held = fake("held")
    mesh = start.run(
        [engine("e1", sim_engine()), engine("e2", held.url)],
        handover=tmp_path / "handover",
        drain_timeout="6s",
        shards=2,
    )
    clients = [Kept(mesh.address, "sim") for _ in range(4)]
    clients += [Fresh(mesh.address, "sim") for _ in range(3)]
    clients += [Streams(mesh.address, "sim"), Watcher(mesh.admin, "sim")]
    program = mesh.program
    for shards in (1, 3, 2):
        answered(clients)
        gate = threading.Event()
        held.default = fe.held(gate, fe.stream(*fe.chat_pieces("held")))
        heard = len(held.heard)
        with mesh.wire() as begun:
            begun.request("POST", PATH, STREAM.replace(b'"m"', b'"held"'))
            held.wait_whole(heard + 1)
            successor = Successor(mesh, programs, shards=shards).serving()
            answered(clients)
            assert program.running(), "it has a stream to finish"
            gate.set()
            answer = begun.answer()
            assert answer.whole and answer.events()[-1].data == "[DONE]"
        assert program.wait(within=20 * SLOW) == 0
        program = successor.program
    answered(clients)
    no_failure(clients)


def test_what_has_begun_is_finished_by_the_old_process(handed, programs):
    mesh, one = handed()
    with mesh.wire() as idle, mesh.wire() as fresh, mesh.wire() as upload:
        idle.request("POST", PATH, CHAT)
        assert idle.answer().header("connection") is None
        head = {"content-length": str(len(CHAT))}
        upload.send(b"".join(fe_request(head)) + CHAT[:10])
        eventually(lambda: waiting(mesh.address) == 0, "the old process has accepted them")
        Successor(mesh, programs).serving()
        eventually(lambda: "another process has taken over" in mesh.log(), "the old one drains")
        mesh.program.signal(signal.SIGTERM)  # it is stopping already
        for wire, data in ((idle, None), (fresh, None), (upload, CHAT[10:])):
            wire.send(data) if data else wire.request("POST", PATH, CHAT)
            answer = wire.answer()
            assert answer.status == 200 and answer.header("connection") == "close"
    assert mesh.program.wait(within=10 * SLOW) == 0
    assert mesh.chat().status == 200


def fe_request(fields: dict[str, str]) -> list[bytes]:
    lines = [f"POST {PATH} HTTP/1.1", "host: test"]
    lines += [f"{name}: {value}" for name, value in fields.items()]
    return ["\r\n".join(lines).encode(), b"\r\n\r\n"]


def test_a_silent_client_does_not_keep_the_old_process(handed, programs):
    mesh, _ = handed(drain_timeout="1s")
    with mesh.wire() as silent:
        silent.request("POST", PATH, CHAT)
        assert silent.answer().status == 200
        Successor(mesh, programs).serving()
        assert mesh.program.wait(within=5 * SLOW) == 0
        silent.wait_closed()


def test_a_tls_handshake_under_way_is_finished(handed, programs, tmp_path_factory):
    authority = Authority(tmp_path_factory.mktemp("ca"))
    pair = authority.issue("mesh")
    mesh, _ = handed(tls_cert=pair.cert, tls_key=pair.key)
    plain = socket.create_connection(mesh.address, 10)
    eventually(lambda: waiting(mesh.address) == 0, "the old process has accepted it")
    Successor(mesh, programs).serving()
    eventually(lambda: "another process has taken over" in mesh.log(), "the old one drains")
    context = client_context(authority.cert)
    with context.wrap_socket(plain, server_hostname="localhost") as late:
        late.sendall(b"".join(fe_request({"content-length": str(len(CHAT))})) + CHAT)
        assert late.recv(1 << 16).startswith(b"HTTP/1.1 200")
    assert mesh.program.wait(within=10 * SLOW) == 0
    with TlsWire(mesh.address, context) as wire:
        wire.request("POST", PATH, CHAT)
        assert wire.answer().status == 200


def waiting(address: tuple[str, int]) -> int:
    """Connections in the queues of the sockets that listen there."""
    local = f"0100007F:{address[1]:04X}"
    rows = [line.split() for line in pathlib.Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return sum(
        int(row[4].split(":")[1], 16) for row in rows if row[1] == local and row[3] == "0A"
    )


def test_an_old_process_that_ends_meanwhile_is_replaced_all_the_same(handed, programs):
    mesh, one = handed()
    one.poll_reply = fe.hang()  # nothing is known of the engine until it is released
    successor = Successor(mesh, programs, handover_wait="30s")
    successor.says("taking over")
    mesh.program.kill()
    one.poll_reply = one.answer_poll
    one.drop_connections()
    successor.serving()
    assert mesh.chat().status == 200


# ---- whoever fails changes nothing
def test_a_successor_that_is_killed_before_it_serves_changes_nothing(handed, programs, fake):
    mesh, _ = handed()
    clients = [Kept(mesh.address, "m"), Fresh(mesh.address, "m"), Fresh(mesh.address, "m")]
    other = fake("other")
    changes = {"engine": other.url, "objects": "", "handover_wait": "30s", "shards": 9}
    first = Successor(mesh, programs, **changes)
    first.says("is ready")
    answered(clients)
    busy = Successor(mesh, programs).fails()
    assert f"process {first.program.pid} is taking over already" in busy
    first.program.kill()
    eventually(lambda: "it has ended the conversation" in mesh.log(), "the old process sees it")
    answered(clients)
    Successor(mesh, programs, shards=9).serving()
    assert mesh.program.wait(within=10 * SLOW) == 0
    answered(clients)
    no_failure(clients)


def test_a_successor_that_is_stopped_before_it_serves_changes_nothing(handed, programs, fake):
    mesh, _ = handed()
    other = fake("other")
    successor = Successor(mesh, programs, engine=other.url, objects="", handover_wait="30s")
    successor.says("taking over")
    successor.program.signal(signal.SIGTERM)
    assert successor.program.wait() == 0
    assert mesh.chat().status == 200 and mesh.program.running()


def test_a_successor_that_serves_nothing_of_it_gives_up(handed, programs, fake):
    mesh, _ = handed()
    other = fake("other")
    log = Successor(mesh, programs, engine=other.url, objects="", handover_wait="300ms").fails()
    assert "no engine is ready for any model that it serves (m)" in log
    assert mesh.chat().status == 200 and mesh.program.running()


def test_a_successor_that_serves_some_of_it_goes_on_and_says_what_is_missing(
    start, fake, programs, tmp_path
):
    one, two = fake("m"), fake("n")
    mesh = start.run(
        [engine("e1", one.url), engine("e2", two.url)], handover=tmp_path / "handover"
    )
    two.die()
    mesh.wait_state("e2", "down")
    two.listen_again()
    mesh.wait_state("e2", "ready")
    successor = Successor(mesh, programs, engine=one.url, objects="", handover_wait="300ms")
    successor.serving()
    assert "without models that the earlier process serves" in successor.program.log()
    assert mesh.program.wait(within=10 * SLOW) == 0


def test_other_addresses_are_refused(handed, programs):
    mesh, _ = handed()
    for flag, address in (("listen", mesh.address), ("admin_listen", mesh.admin)):
        log = Successor(mesh, programs, **{flag: f"127.0.0.1:{address[1] ^ 1}"}).fails()
        assert f"it listens on 127.0.0.1:{address[1]}, not on" in log and "then start" in log
    assert mesh.chat().status == 200


class Peer:
    """Somebody who waits at the path and says one thing to whoever comes."""

    def __init__(self, path: pathlib.Path, says: bytes):
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.listener.bind(str(path))
        self.listener.listen()
        self.heard = b""
        threading.Thread(target=self.answer, args=(says,), daemon=True).start()

    def answer(self, says: bytes) -> None:
        other, _ = self.listener.accept()
        with other:
            self.heard = other.recv(1 << 16)
            other.send(says)
            other.recv(1)


@pytest.mark.parametrize(
    "says, why",
    [
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "it does not talk like infermesh"),
        (b'{"protocol":1,"say":"offer","version":"0.1.0","pid":1}', "it gives no sockets"),
        (b'{"protocol":1,"say":"refuse","pid":1,"why":"not today"}', "not today"),
        (
            b'{"protocol":2,"say":"no","version":"9.0.0","pid":1}',
            "version 9.0.0 hands over by protocol 2, this one by 1; stop the one",
        ),
    ],
)
def test_a_peer_that_cannot_hand_over_is_told_from_none(start, fake, tmp_path, says, why):
    path = tmp_path / "handover"
    peer = Peer(path, says)
    with pytest.raises(AssertionError, match="ended with 2") as failed:
        start.run([engine("e1", fake().url)], handover=path)
    assert why in str(failed.value) and "goes on as before" in str(failed.value)
    assert json.loads(peer.heard)["say"] == "hello"


def test_strangers_at_the_path_are_turned_away(handed, programs, tmp_path):
    mesh, _ = handed()
    for words in (b"\xff\x00", b'{"protocol":7,"say":"hi","version":"9"}', b""):
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as stranger:
            stranger.settimeout(10)
            stranger.connect(str(tmp_path / "handover"))
            if words:
                stranger.send(words)
                answer, sockets, _, _ = socket.recv_fds(stranger, 1 << 16, 9)
                assert json.loads(answer)["say"] == "refuse" and not sockets
    assert mesh.chat().status == 200
    Successor(mesh, programs).serving()
    assert mesh.program.wait(within=10 * SLOW) == 0


def test_a_stale_socket_is_nobody_and_a_file_is_left_alone(start, fake, tmp_path):
    stale, file = tmp_path / "stale", tmp_path / "file"
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as gone:
        gone.bind(str(stale))
    mesh = start.run([engine("e1", fake().url)], handover=stale)
    assert mesh.chat().status == 200
    assert stat.S_IMODE(stale.stat().st_mode) == 0o600
    file.write_text("precious")
    with pytest.raises(AssertionError, match="is not a socket; choose another path"):
        start.run([engine("e1", fake().url)], handover=file)
    assert file.read_text() == "precious"


def test_without_a_running_process_the_address_must_be_free(handed, programs, tmp_path):
    mesh, _ = handed()
    log = Successor(
        mesh, programs, handover=tmp_path / "else", listen=f"127.0.0.1:{mesh.address[1]}"
    ).fails()
    assert "is another process using it?" in log
    assert address_of(mesh.ready["listen"]) == mesh.address
