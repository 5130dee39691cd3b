"""Live sessions: GET /v1/realtime as a WebSocket, passed both ways to one engine."""

import asyncio
import contextlib
import http
import json
import threading

import pytest
from harness.mesh import engine, model, pool
from harness.wait import DEADLINE, eventually
from websockets.asyncio.server import serve
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect


class LiveEngine:
    """Serves one model; in a session it says what it was told back, until it hears "bye"."""

    def __init__(self, name: str, refuse: int = 0):
        self.name, self.refuse = name, refuse
        self.requests: list = []
        self.closed: list[int | None] = []
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self.thread.start()
        self.server = self.run(self.listen())
        self.url = f"http://127.0.0.1:{self.server.sockets[0].getsockname()[1]}"

    def run(self, work):
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(DEADLINE)

    async def listen(self):
        return await serve(
            self.session,
            "127.0.0.1",
            0,
            process_request=self.answer,
            select_subprotocol=lambda _, offered: "realtime" if "realtime" in offered else None,
            max_size=None,
        )

    def answer(self, connection, request):
        if request.path == "/v1/models":
            listed = {"object": "list", "data": [{"id": self.name, "object": "model"}]}
            reply = connection.respond(http.HTTPStatus.OK, json.dumps(listed))
            reply.headers["content-type"] = "application/json"
            return reply
        if not request.path.startswith("/v1/realtime"):
            return connection.respond(http.HTTPStatus.NOT_FOUND, "{}")
        self.requests.append(request)
        if self.refuse:
            return connection.respond(http.HTTPStatus(self.refuse), '{"error":"no room"}')
        return None

    async def session(self, connection):
        with contextlib.suppress(ConnectionClosed):
            async for message in connection:
                if message == "bye":
                    break
                await connection.send(message)
        await connection.close()
        self.closed.append(connection.close_code)

    def close(self):
        async def stop():
            self.server.close(close_connections=True)

        self.run(stop())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(DEADLINE)


@pytest.fixture
def live():
    made = []

    def make(*arguments, **options) -> LiveEngine:
        made.append(LiveEngine(*arguments, **options))
        return made[-1]

    yield make
    for one in made:
        one.close()


def session(mesh, query="?model=voice", **options):
    return connect(f"ws://{mesh.ready['listen']}/v1/realtime{query}", max_size=None, **options)


def test_messages_pass_both_ways_text_binary_and_large(start, live):
    server = live("voice")
    mesh = start.up(server.url)
    with session(mesh) as socket:
        for message in ("hello", b"\x00\xff" * 500_000, json.dumps({"type": "x"}), "a" * 3_000_000):
            socket.send(message)
            assert socket.recv(DEADLINE) == message
        assert mesh.status()["in_flight"] == 1
    eventually(lambda: server.closed == [1000], "the engine sees the close")
    eventually(lambda: mesh.status()["in_flight"] == 0, "the session is over")


def test_the_model_of_the_query_is_routed_and_renamed(start, live):
    one, two = live("one"), live("two")
    mesh = start.run(
        [
            engine("e1", one.url),
            engine("e2", two.url),
            pool("p1", ["e1"]),
            pool("p2", ["e2"]),
            model("my/voice", "p2", served_name="two"),
        ]
    )
    with session(mesh, "?model=my%2Fvoice&intent=x") as socket:
        socket.send("hello")
        assert socket.recv(DEADLINE) == "hello"
        assert socket.response.headers["x-infermesh-engine"] == "e2"
    assert two.requests[0].path == "/v1/realtime?model=two&intent=x"
    with pytest.raises(InvalidStatus) as refused:
        session(mesh, "")
    assert refused.value.response.status_code == 400
    with pytest.raises(InvalidStatus) as unknown:
        session(mesh, "?model=other")
    assert unknown.value.response.status_code == 404


def test_keys_stay_here_and_the_rest_is_passed(start, live):
    server = live("voice")
    mesh = start.up(server.url)
    offered = ["realtime", "openai-insecure-api-key.sk-secret", "openai-beta.realtime-v1"]
    headers = {"OpenAI-Beta": "realtime=v1", "Authorization": "Bearer sk-secret"}
    with session(mesh, subprotocols=offered, additional_headers=headers) as socket:
        assert socket.subprotocol == "realtime"
    heard = server.requests[0].headers
    assert heard["sec-websocket-protocol"] == "realtime, openai-beta.realtime-v1"
    assert heard["openai-beta"] == "realtime=v1"
    assert "sk-secret" not in str(heard)


def test_what_is_no_handshake_is_426_and_a_refusal_is_passed(start, live):
    server = live("voice", refuse=403)
    mesh = start.up(server.url)
    plain = mesh.get("/v1/realtime?model=voice")
    assert plain.status == 426
    assert plain.header("sec-websocket-version") == "13"
    with pytest.raises(InvalidStatus) as refused:
        session(mesh)
    assert refused.value.response.status_code == 403
    assert b"no room" in refused.value.response.body


def test_a_silent_session_is_ended(start, live):
    server = live("voice")
    mesh = start.up(server.url, realtime_idle_timeout="300ms")
    with session(mesh, ping_interval=None) as socket:
        with pytest.raises(ConnectionClosed) as ended:
            socket.recv(DEADLINE)
        assert ended.value.rcvd.code == 1001
    eventually(lambda: server.closed == [1001], "the engine is told, too")


def test_a_drain_lets_a_session_go_on_and_then_cuts_it(start, live):
    server = live("voice")
    mesh = start.up(server.url, drain_timeout="1s")
    with session(mesh) as socket:
        mesh.program.process.terminate()
        socket.send("still here")
        assert socket.recv(DEADLINE) == "still here"
        with pytest.raises(ConnectionClosed) as ended:
            socket.recv(DEADLINE)
        assert ended.value.rcvd.code == 1001 and "stops" in ended.value.rcvd.reason
    assert mesh.program.wait() == 0
    eventually(lambda: server.closed == [1001], "the engine is told, too")


def test_an_engine_that_dies_ends_the_session(start, live):
    server = live("voice")
    mesh = start.up(server.url)
    with session(mesh) as socket:
        socket.send("hello")
        assert socket.recv(DEADLINE) == "hello"
        socket.send("bye")
        with pytest.raises(ConnectionClosed):
            socket.recv(DEADLINE)
    page = mesh.ask("/metrics").body.decode()
    assert 'infermesh_requests_total{model="voice",api="realtime",code="101"} 1' in page
