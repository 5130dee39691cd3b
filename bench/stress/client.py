"""Clients of every manner, on one event loop: the fate of each request is kept. HTTP/1.1, connections kept alive; HTTP/2
where `client_h2` is given to them.
"""
from __future__ import annotations

import asyncio
import contextlib
import json
import random
import socket
import struct
import time
from dataclasses import dataclass, field

PATIENCE = 60.0  # seconds for one answer; longer is "stuck"

# How a client behaves, beside the plain good one.
GOOD = "good"
LEAVES = "leaves"  # goes away at some moment, often in the middle of the answer
SLOW_BODY = "slow body"  # sends its body in pieces, each within the router's patience
STALLS = "stalls"  # sends half of its body and then nothing
SLOW_READER = "slow reader"  # pauses between the parts of the answer


@dataclass
class Ask:
    id: str
    manner: str = GOOD
    stream: bool = False
    tokens: int = 16
    prompt: str = "hello"
    priority: str = ""
    http2: bool = False

    def body(self) -> bytes:
        asked = {"model": "sim", "messages": [{"role": "user", "content": self.prompt}], "max_tokens": self.tokens,
                 "ignore_eos": True, "stream": self.stream}
        return json.dumps(asked).encode()

    def head(self, length: int) -> bytes:
        more = f"x-infermesh-priority: {self.priority}\r\n" if self.priority else ""
        return (f"POST /v1/chat/completions HTTP/1.1\r\nhost: mesh\r\ncontent-type: application/json\r\n"
                f"x-request-id: {self.id}\r\n{more}content-length: {length}\r\n\r\n").encode()


@dataclass
class Fate:
    """What became of a request, as its client saw it."""
    ask: Ask
    begun: float
    status: int = 0  # 0: no answer's head
    whole: bool = False  # the answer ended as its framing says
    done: bool = False  # a stream's last event came
    error_code: str = ""  # of an error answer or an error event
    left: bool = False  # this client went away by itself
    failure: str = ""
    ended: float = 0.0
    engine: str = ""
    data: bytes = field(default=b"", repr=False)

    @property
    def ok(self) -> bool:
        return self.status == 200 and self.whole and not self.error_code and (self.done or not self.ask.stream)

    @property
    def seconds(self) -> float:
        return self.ended - self.begun

    def text(self) -> str:
        told = ", ".join(filter(None, [f"status {self.status}", self.error_code, self.failure]))
        return f"{self.ask.id} ({self.ask.manner}, {'HTTP/2, ' if self.ask.http2 else ''}{'stream' if self.ask.stream else 'whole'}): {told}, " \
               f"{'whole' if self.whole else 'not whole'}, after {self.seconds:.2f} s on {self.engine or 'no engine'}"


class Connection:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter):
        self.reader, self.writer = reader, writer
        self.used = time.monotonic()

    @classmethod
    async def open(cls, address: tuple[str, int]) -> Connection:
        return cls(*await asyncio.open_connection(*address))

    def close(self) -> None:
        self.writer.close()

    def reset(self) -> None:
        raw = self.writer.get_extra_info("socket")
        with contextlib.suppress(OSError):
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()

    async def send(self, ask: Ask, rng: random.Random) -> None:
        body = ask.body()
        head = ask.head(len(body))
        if ask.manner == STALLS:
            self.writer.write(head + body[: len(body) // 2])
        elif ask.manner == SLOW_BODY:
            self.writer.write(head)
            step = len(body) // 4 + 1
            for at in range(0, len(body), step):
                await asyncio.sleep(rng.uniform(0.02, 0.2))
                self.writer.write(body[at : at + step])
        else:
            self.writer.write(head + body)
        await self.writer.drain()

    async def head(self, fate: Fate) -> dict[str, str]:
        text = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        first, *lines = text.split("\r\n")[:-2]
        fate.status = int(first.split(" ", 2)[1])
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        fate.engine = headers.get("x-infermesh-engine", "")
        return headers

    async def body(self, fate: Fate, headers: dict[str, str], pause: float) -> None:
        parts = []
        try:
            if headers.get("transfer-encoding") == "chunked":
                while size := int(await self.reader.readuntil(b"\r\n"), 16):
                    parts.append((await self.reader.readexactly(size + 2))[:-2])
                    if pause:
                        await asyncio.sleep(pause)
                await self.reader.readuntil(b"\r\n")
            else:
                parts.append(await self.reader.readexactly(int(headers.get("content-length", 0))))
            fate.whole = True
        finally:
            fate.data = b"".join(parts)


class Clients:
    """Sends to one router. Connections that ended well are used again, the latest first."""

    def __init__(self, address: tuple[str, int], seed: int):
        self.address = address
        self.rng = random.Random(seed)
        self.idle: list[Connection] = []
        self.fates: list[Fate] = []
        self.running: set[asyncio.Task] = set()
        self.latest = 0
        self.sessions = None  # of client_h2, for requests over HTTP/2

    def start(self, ask: Ask) -> None:
        task = asyncio.create_task(self.run(ask))
        self.running.add(task)
        task.add_done_callback(self.running.discard)

    def next_id(self, mark: str) -> str:
        self.latest += 1
        return f"{mark}-{self.latest:07d}"

    async def run(self, ask: Ask) -> Fate:
        fate = Fate(ask, time.monotonic())
        try:
            await asyncio.wait_for(self.converse(ask, fate), PATIENCE)
        except asyncio.TimeoutError:
            fate.failure = f"no end within {PATIENCE:.0f} s"
        except (OSError, asyncio.IncompleteReadError, ValueError) as trouble:
            fate.failure = fate.failure or f"{type(trouble).__name__}: {trouble}"[:120]
        judge(fate)
        fate.ended = time.monotonic()
        self.fates.append(fate)
        return fate

    async def converse(self, ask: Ask, fate: Fate) -> None:
        if ask.http2:
            return await self.sessions.converse(ask, fate, self.rng)
        connection = await self.connection()
        keep = False
        try:
            if ask.manner == LEAVES:
                return await self.leave(connection, ask, fate)
            await connection.send(ask, self.rng)
            headers = await connection.head(fate)
            pause = self.rng.uniform(0.005, 0.05) if ask.manner == SLOW_READER else 0
            await connection.body(fate, headers, pause)
            keep = headers.get("connection") != "close" and ask.manner != STALLS
        finally:
            if keep:
                connection.used = time.monotonic()
                self.idle.append(connection)
            else:
                connection.close()

    async def connection(self) -> Connection:
        while self.idle:
            found = self.idle.pop()
            # One that the router is about to close, or has closed, is no good for a request.
            if time.monotonic() - found.used < 30 and not found.reader.at_eof():
                return found
            found.close()
        return await Connection.open(self.address)

    async def leave(self, connection: Connection, ask: Ask, fate: Fate) -> None:
        fate.left = True
        await connection.send(ask, self.rng)
        with contextlib.suppress(asyncio.TimeoutError, asyncio.IncompleteReadError):
            await asyncio.wait_for(connection.reader.readexactly(1 << 20), self.rng.uniform(0, 0.4))
        if self.rng.random() < 0.5:
            connection.reset()

    async def finish(self) -> None:
        """Until every request has had its end."""
        while self.running:
            await asyncio.wait(set(self.running), timeout=PATIENCE + 5)

    def close(self) -> None:
        for connection in self.idle:
            connection.close()
        self.idle.clear()
        if self.sessions:
            self.sessions.close()


def judge(fate: Fate) -> None:
    """Reads the end of a stream, and the code of an error, out of the answer."""
    data = fate.data
    if fate.ask.stream and fate.status == 200:
        fate.done = data.rstrip().endswith(b"data: [DONE]")
        found = data.find(b'"error"')
        if found >= 0:
            fate.error_code = code_of(data[data.rfind(b"data:", 0, found) + 5 :].split(b"\n", 1)[0])
    elif fate.status >= 400:
        fate.error_code = code_of(data)
    fate.data = b""


def code_of(text: bytes) -> str:
    try:
        error = json.loads(text)["error"]
        return str(error.get("code") or error.get("type"))
    except (ValueError, KeyError, TypeError, AttributeError):
        return "unreadable"
