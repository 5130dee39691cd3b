"""An engine whose every byte is scripted: what it heard is recorded, what it says is up to the
test.

It answers GET /v1/models by itself, so that the router takes it in as runtime `openai`; other GETs
are 404. A POST is answered by the next scripted reply, else by a plausible completion. Runs on an
event loop in a thread of its own.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import ssl
import threading
import time
from dataclasses import dataclass, field
from typing import Awaitable, Callable

from .wait import DEADLINE, eventually

CRLF = b"\r\n"


@dataclass
class Heard:
    """One request as it came over the wire."""

    method: str
    target: str
    headers: list[tuple[str, str]]
    head: bytes
    connection: int
    head_at: float
    body: bytearray = field(
        default_factory=bytearray
    )  # without chunk framing; grows while it arrives
    complete_at: float | None = None
    gone_at: float | None = None  # when the router closed the connection before the reply had ended
    replied_at: float | None = None  # when the reply had ended

    def header(self, name: str) -> str | None:
        return next((value for key, value in self.headers if key.lower() == name.lower()), None)

    def json(self):
        return json.loads(bytes(self.body))


class Exchange:
    """What a reply may do."""

    def __init__(self, connection: "Connection", heard: Heard):
        self.connection = connection
        self.heard = heard

    def send(self, data: bytes) -> None:
        self.connection.transport.write(data)

    async def flush(self) -> None:
        await self.connection.can_write.wait()

    def close(self) -> None:
        self.connection.transport.close()

    def reset(self) -> None:
        self.connection.transport.abort()

    async def whole_request(self) -> None:
        await self.connection.body_read.wait()


Reply = Callable[[Exchange], Awaitable[None]]


class Connection(asyncio.Protocol):
    def __init__(self, engine: "FakeEngine"):
        self.engine = engine
        self.number = next(engine.connection_numbers)
        self.buffer = bytearray()
        self.more = asyncio.Event()
        self.body_read = asyncio.Event()
        self.can_write = asyncio.Event()
        self.can_write.set()
        self.current: Heard | None = None

    # ---- asyncio's side
    def connection_made(self, transport: asyncio.Transport) -> None:
        self.transport = transport
        self.engine.open_connections.add(self)
        self.task = asyncio.ensure_future(self.serve())

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        self.more.set()

    def eof_received(self) -> bool:
        self.peer_gone()
        return False

    def connection_lost(self, _: Exception | None) -> None:
        self.peer_gone()
        self.engine.open_connections.discard(self)
        self.task.cancel()

    def pause_writing(self) -> None:
        self.can_write.clear()

    def resume_writing(self) -> None:
        self.can_write.set()

    def peer_gone(self) -> None:
        if self.current and self.current.gone_at is None and self.current.replied_at is None:
            self.current.gone_at = time.monotonic()

    # ---- HTTP
    async def until(self, mark: bytes) -> bytes:
        while mark not in self.buffer:
            self.more.clear()
            await self.more.wait()
        end = self.buffer.index(mark) + len(mark)
        taken = bytes(self.buffer[:end])
        del self.buffer[:end]
        return taken

    async def take_into(self, body: bytearray, count: int) -> None:
        while count:
            if not self.buffer:
                self.more.clear()
                await self.more.wait()
            part = self.buffer[:count]
            del self.buffer[: len(part)]
            body += part
            count -= len(part)

    async def read_body(self, heard: Heard) -> None:
        if (heard.header("transfer-encoding") or "").lower() == "chunked":
            while size := int(await self.until(CRLF), 16):
                await self.take_into(heard.body, size)
                await self.until(CRLF)
            await self.until(CRLF)
        else:
            await self.take_into(heard.body, int(heard.header("content-length") or 0))
        heard.complete_at = time.monotonic()
        self.body_read.set()

    async def read_head(self) -> Heard:
        head = await self.until(CRLF + CRLF)
        first, *lines = head.decode("latin-1").split("\r\n")[:-2]
        method, target, _ = first.split(" ", 2)
        headers = [
            (name, value.strip()) for name, _, value in (line.partition(":") for line in lines)
        ]
        return Heard(method, target, headers, head, self.number, time.monotonic())

    async def serve(self) -> None:
        while not self.transport.is_closing():
            heard = await self.read_head()
            self.body_read.clear()
            exchange = Exchange(self, heard)
            if heard.method == "GET":
                await self.read_body(heard)
                self.engine.polls.append(heard)
                await self.engine.poll_reply(exchange)
                continue
            self.current = heard
            reply = self.engine.take(heard)
            reading = asyncio.ensure_future(self.read_body(heard))
            try:
                if not getattr(reply, "early", False):
                    await self.body_read.wait()
                await reply(exchange)
                await reading
            finally:
                reading.cancel()
            heard.replied_at = time.monotonic()
            self.current = None


class FakeEngine:
    def __init__(
        self,
        models: tuple[str, ...] = ("m",),
        port: int = 0,
        tls: ssl.SSLContext | None = None,
    ):
        self.models = models
        self.tls = tls
        self.owned_by = "fake"  # by which a router tells runtimes apart
        self.heard: list[Heard] = []
        self.polls: list[Heard] = []
        self.script: list[Reply] = []
        self.default: Reply = plausible
        self.poll_reply: Reply = self.answer_poll
        self.connection_numbers = itertools.count()
        self.open_connections: set[Connection] = set()
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self.thread.start()
        self.server = self.run(self.listen(port))
        self.port = self.server.sockets[0].getsockname()[1]
        self.url = f"{'https' if tls else 'http'}://127.0.0.1:{self.port}"

    async def listen(self, port: int) -> asyncio.Server:
        return await self.loop.create_server(
            lambda: Connection(self), "127.0.0.1", port, ssl=self.tls
        )

    def run(self, work: Awaitable):
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(DEADLINE)

    def take(self, heard: Heard) -> Reply:
        self.heard.append(heard)
        return self.script.pop(0) if self.script else self.default

    async def answer_poll(self, exchange: Exchange) -> None:
        data = [
            {"id": name, "object": "model", "created": 1, "owned_by": self.owned_by}
            for name in self.models
        ]
        answers = {"/v1/models": {"object": "list", "data": data}}
        if self.owned_by != "fake":
            answers |= {"/health": {"status": "ok"}, "/version": {"version": "1.2.3"}}
        target = exchange.heard.target
        if target in answers:
            await json_reply(answers[target])(exchange)
        else:
            await json_reply({"error": {"message": "Not Found", "code": 404}}, 404)(exchange)

    # ---- the test's side
    def then(self, *replies: Reply) -> None:
        """Scripts the next POSTs."""
        self.script.extend(replies)

    def wait_heard(self, count: int = 1, within: float = DEADLINE) -> Heard:
        """The request number `count` (from 1), once its head is here."""
        eventually(
            lambda: len(self.heard) >= count, f"engine {self.port} hears request {count}", within
        )
        return self.heard[count - 1]

    def wait_whole(self, count: int = 1) -> Heard:
        heard = self.wait_heard(count)
        eventually(lambda: heard.complete_at, "the whole request is heard")
        return heard

    def drop_connections(self) -> None:
        """Resets every open connection."""

        async def drop() -> None:
            for connection in list(self.open_connections):
                connection.transport.abort()

        self.run(drop())

    def stop_listening(self) -> None:
        async def close() -> None:
            self.server.close()

        self.run(close())

    def die(self) -> None:
        """What kill -9 does to a process: no listener, every connection reset."""
        self.stop_listening()
        self.drop_connections()

    def listen_again(self) -> None:
        self.server = self.run(self.listen(self.port))

    def close(self) -> None:
        self.die()

        async def end_replies() -> None:
            rest = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
            for task in rest:
                task.cancel()
            await asyncio.gather(*rest, return_exceptions=True)

        self.run(end_replies())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(DEADLINE)


# ---- replies
def early(reply: Reply) -> Reply:
    """A reply that does not wait for the request's body."""
    reply.early = True
    return reply


def head_bytes(status: int, headers: dict[str, str], reason: str = "Scripted") -> bytes:
    lines = [f"HTTP/1.1 {status} {reason}"] + [
        f"{name}: {value}" for name, value in headers.items()
    ]
    return "\r\n".join(lines).encode("latin-1") + CRLF + CRLF


def raw(data: bytes, then: str = "keep") -> Reply:
    """Exactly these bytes; then "keep" the connection, "close" or "reset" it."""

    async def reply(exchange: Exchange) -> None:
        exchange.send(data)
        await exchange.flush()
        if then == "close":
            exchange.close()
        elif then == "reset":
            await asyncio.sleep(0.02)  # let the bytes leave before the reset overtakes them
            exchange.reset()

    return reply


def body_reply(
    body: bytes, content_type: str, status: int = 200, headers: dict[str, str] | None = None
) -> Reply:
    fields = {"content-type": content_type, "content-length": str(len(body)), **(headers or {})}
    return raw(head_bytes(status, fields) + body)


def json_reply(value: object, status: int = 200, headers: dict[str, str] | None = None) -> Reply:
    return body_reply(json.dumps(value).encode(), "application/json", status, headers)


def error_reply(
    status: int, message: str = "scripted failure", headers: dict[str, str] | None = None
) -> Reply:
    return json_reply(
        {"error": {"message": message, "type": "scripted", "param": None, "code": status}},
        status,
        headers,
    )


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


SSE_HEAD = head_bytes(
    200, {"content-type": "text/event-stream; charset=utf-8", "transfer-encoding": "chunked"}, "OK"
)
LAST_CHUNK = b"0\r\n\r\n"


def stream(*pieces: bytes | float, end: str = "clean") -> Reply:
    """A chunked event stream: bytes are sent as a chunk each, numbers are pauses in seconds. `end`:
    clean (last chunk), close or reset (without it), bad_chunk (a size that is none), hang
    (silence)."""

    async def reply(exchange: Exchange) -> None:
        exchange.send(SSE_HEAD)
        for piece in pieces:
            if isinstance(piece, (int, float)):
                await asyncio.sleep(piece)
                continue
            exchange.send(chunk(piece))
            await exchange.flush()
        if end == "clean":
            exchange.send(LAST_CHUNK)
        elif end == "bad_chunk":
            exchange.send(b"zz\r\nnothing\r\n")
            exchange.close()
        elif end == "close":
            exchange.close()
        elif end == "reset":
            await asyncio.sleep(0.02)
            exchange.reset()
        elif end == "hang":
            await asyncio.Event().wait()

    return reply


def hang(after: bytes = b"") -> Reply:
    """Says `after` and then nothing more."""

    async def reply(exchange: Exchange) -> None:
        if after:
            exchange.send(after)
        await asyncio.Event().wait()

    return reply


def reset_at_once() -> Reply:
    async def reply(exchange: Exchange) -> None:
        exchange.reset()

    return reply


def close_at_once() -> Reply:
    async def reply(exchange: Exchange) -> None:
        exchange.close()

    return reply


def held(gate: threading.Event, then: Reply) -> Reply:
    """Waits for the test to open `gate`, then replies."""

    async def reply(exchange: Exchange) -> None:
        while not gate.is_set():
            await asyncio.sleep(0.002)
        await then(exchange)

    return reply


def endless(piece: bytes, gap: float = 0.0) -> Reply:
    """A stream that never ends and goes as fast as it may."""

    async def reply(exchange: Exchange) -> None:
        exchange.send(SSE_HEAD)
        while True:
            exchange.send(chunk(piece))
            await exchange.flush()
            await asyncio.sleep(gap)

    return reply


# ---- plausible bodies
def event(value: object, kind: str = "") -> bytes:
    text = value if isinstance(value, str) else json.dumps(value)
    return (f"event: {kind}\n" if kind else "").encode() + b"data: " + text.encode() + b"\n\n"


DONE = event("[DONE]")
USAGE = {
    "prompt_tokens": 7,
    "completion_tokens": 3,
    "total_tokens": 10,
    "prompt_tokens_details": {"cached_tokens": 4},
}


def chat_chunk(delta: dict, finish: str | None = None, model: str = "m", **more: object) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    return event(
        {
            "id": "chatcmpl-1",
            "object": "chat.completion.chunk",
            "created": 1,
            "model": model,
            "choices": [choice],
            **more,
        }
    )


def usage_chunk(model: str = "m") -> bytes:
    return event(
        {
            "id": "chatcmpl-1",
            "object": "chat.completion.chunk",
            "created": 1,
            "model": model,
            "choices": [],
            "usage": USAGE,
        }
    )


def chat_pieces(model: str = "m", usage: bool = False) -> list[bytes]:
    pieces = [chat_chunk({"role": "assistant", "content": ""}, model=model)]
    pieces += [chat_chunk({"content": word}, model=model) for word in ("one ", "two ", "three")]
    pieces.append(chat_chunk({}, "stop", model=model))
    return pieces + ([usage_chunk(model)] if usage else []) + [DONE]


def chat_body(model: str = "m", text: str = "one two three") -> dict:
    message = {"role": "assistant", "content": text}
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1,
        "model": model,
        "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
        "usage": USAGE,
    }


async def plausible(exchange: Exchange) -> None:
    """What an engine might say: a chat completion or stream, else an echo of the route."""
    heard = exchange.heard
    try:
        asked = heard.json()
    except ValueError:
        asked = {}
    model = asked.get("model", "m")
    if heard.target == "/v1/chat/completions" and asked.get("stream"):
        usage = bool((asked.get("stream_options") or {}).get("include_usage"))
        await stream(*chat_pieces(model, usage))(exchange)
    elif heard.target == "/v1/chat/completions":
        await json_reply(chat_body(model))(exchange)
    else:
        await json_reply(
            {"object": "echo", "target": heard.target, "model": model, "usage": USAGE}
        )(exchange)
