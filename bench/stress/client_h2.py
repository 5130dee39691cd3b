"""The same clients over HTTP/2 without TLS, many requests on each connection. Needs the Python package h2."""
from __future__ import annotations

import asyncio
import random

import h2.config
import h2.connection
import h2.errors
import h2.events
import h2.exceptions

from client import LEAVES, SLOW_BODY, SLOW_READER, STALLS, Ask, Fate

STREAMS = 16  # on one connection at once
REQUESTS = 500  # after so many a connection is given up for a new one


class Session:
    """One connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter):
        self.reader, self.writer = reader, writer
        self.h2 = h2.connection.H2Connection(h2.config.H2Configuration(client_side=True, header_encoding="utf-8"))
        self.queues: dict[int, asyncio.Queue] = {}
        self.room = asyncio.Event()  # a window has grown
        self.begun = 0
        self.closed = False
        self.settings_seen = asyncio.Event()

    @classmethod
    async def open(cls, address: tuple[str, int]) -> Session:
        session = cls(*await asyncio.open_connection(*address))
        session.h2.initiate_connection()
        session.flush()
        session.task = asyncio.create_task(session.read())
        return session

    def close(self) -> None:
        self.task.cancel()
        self.writer.close()

    def takes_more(self) -> bool:
        return not self.closed and self.begun < REQUESTS and len(self.queues) < STREAMS

    def flush(self) -> None:
        if data := self.h2.data_to_send():
            self.writer.write(data)

    async def read(self) -> None:
        try:
            while data := await self.reader.read(65536):
                for event in self.h2.receive_data(data):
                    self.on_event(event)
                self.flush()
        except (OSError, h2.exceptions.ProtocolError):
            pass
        finally:
            self.closed = True
            self.room.set()
            for queue in self.queues.values():
                queue.put_nowait(None)
            self.writer.close()

    def on_event(self, event: h2.events.Event) -> None:
        if isinstance(event, h2.events.RemoteSettingsChanged):
            self.settings_seen.set()
        elif isinstance(event, h2.events.ConnectionTerminated):
            self.closed = self.closed or event.error_code != h2.errors.ErrorCodes.NO_ERROR
            self.begun = REQUESTS
        if isinstance(event, (h2.events.WindowUpdated, h2.events.RemoteSettingsChanged)):
            self.room.set()
        queue = self.queues.get(getattr(event, "stream_id", None) or 0)
        if queue is not None:
            queue.put_nowait(event)
        elif isinstance(event, h2.events.DataReceived):  # of a stream that was given up
            self.h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)

    # ---- one request
    def begin(self, ask: Ask) -> Talk:
        self.begun += 1
        talk = Talk(self, ask)
        body = ask.body()
        more = [("x-infermesh-priority", ask.priority)] if ask.priority else []
        self.h2.send_headers(talk.stream, [(":method", "POST"), (":scheme", "http"), (":authority", "mesh"),
                                           (":path", "/v1/chat/completions"), ("content-type", "application/json"),
                                           ("x-request-id", ask.id), ("content-length", str(len(body))), *more])
        self.queues[talk.stream] = talk.queue
        return talk


class Talk:
    """One request on one stream."""

    def __init__(self, session: Session, ask: Ask):
        self.session, self.ask, self.h2 = session, ask, session.h2
        self.stream = session.h2.get_next_available_stream_id()
        self.queue: asyncio.Queue = asyncio.Queue()

    async def run(self, fate: Fate, rng: random.Random) -> None:
        fate.left = self.ask.manner == LEAVES
        try:
            await self.send_body(rng)
            await asyncio.wait_for(self.receive(fate, rng), rng.uniform(0, 0.4) if fate.left else None)
        except asyncio.TimeoutError:
            if not fate.left:
                raise
            self.give_up()
        except h2.exceptions.ProtocolError as trouble:  # the answer ended the stream before the body had
            fate.failure = f"{type(trouble).__name__}: {trouble}"
        finally:
            self.session.queues.pop(self.stream, None)

    def give_up(self) -> None:
        try:
            self.h2.reset_stream(self.stream, h2.errors.ErrorCodes.CANCEL)
            self.session.flush()
        except h2.exceptions.ProtocolError:
            pass  # it has just ended

    async def send_body(self, rng: random.Random) -> None:
        body, manner = self.ask.body(), self.ask.manner
        if manner == STALLS:
            return await self.send_data(body[: len(body) // 2], end=False)
        step = len(body) // 4 + 1 if manner == SLOW_BODY else len(body)
        for at in range(0, len(body), step):
            if manner == SLOW_BODY:
                await asyncio.sleep(rng.uniform(0.02, 0.2))
            await self.send_data(body[at : at + step], end=at + step >= len(body))

    async def send_data(self, data: bytes, *, end: bool) -> None:
        session = self.session
        while data and not session.closed:
            size = min(len(data), self.h2.local_flow_control_window(self.stream), self.h2.max_outbound_frame_size)
            if size <= 0:
                session.room.clear()
                await session.room.wait()
                continue
            self.h2.send_data(self.stream, data[:size], end_stream=end and size == len(data))
            data = data[size:]
            session.flush()

    async def receive(self, fate: Fate, rng: random.Random) -> None:
        parts = []
        try:
            while (event := await self.queue.get()) is not None:
                if isinstance(event, h2.events.ResponseReceived):
                    headers = dict(event.headers)
                    fate.status, fate.engine = int(headers[":status"]), headers.get("x-infermesh-engine", "")
                elif isinstance(event, h2.events.DataReceived):
                    parts.append(event.data)
                    if self.ask.manner == SLOW_READER:
                        await asyncio.sleep(rng.uniform(0.005, 0.05))
                    self.h2.acknowledge_received_data(event.flow_controlled_length, self.stream)
                    self.session.flush()
                elif isinstance(event, h2.events.StreamEnded):
                    fate.whole = True
                    return
                elif isinstance(event, h2.events.StreamReset):
                    fate.failure = f"stream reset, {event.error_code!r}"
                    return
            fate.failure = "the connection ended"
        finally:
            fate.data = b"".join(parts)


class Sessions:
    """As many connections as the requests at hand need."""

    def __init__(self, address: tuple[str, int]):
        self.address = address
        self.all: list[Session] = []
        self.opening = asyncio.Lock()  # those who come meanwhile share what is opened

    async def converse(self, ask: Ask, fate: Fate, rng: random.Random) -> None:
        async with self.opening:
            session = next((one for one in self.all if one.takes_more()), None)
            if session is None:
                for spent in [one for one in self.all if not one.queues and one.begun >= REQUESTS]:
                    spent.close()
                self.all = [one for one in self.all if not one.closed and (one.queues or one.begun < REQUESTS)]
                session = await Session.open(self.address)
                self.all.append(session)
            talk = session.begin(ask)
        await talk.run(fate, rng)

    def close(self) -> None:
        for session in self.all:
            session.close()


async def spoken(address: tuple[str, int], within: float = 2) -> bool:
    """Whether the server answers HTTP/2's preface with its settings."""
    session = await Session.open(address)
    try:
        await asyncio.wait_for(session.settings_seen.wait(), within)
        return True
    except asyncio.TimeoutError:
        return False
    finally:
        session.close()


