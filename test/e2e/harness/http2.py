"""A client of HTTP/2 for tests, over the `h2` package: streams are opened, read and reset when the
test says so, and windows are opened only by what the test reads.
"""

from __future__ import annotations

import json
import socket
import time
from dataclasses import dataclass, field

import h2.config
import h2.connection
import h2.events

from .wait import DEADLINE


@dataclass
class Stream:
    number: int
    head: dict[str, str] = field(default_factory=dict)
    trailers: dict[str, str] = field(default_factory=dict)
    body: bytearray = field(default_factory=bytearray)
    unread: int = 0  # flow-controlled bytes that were not yet given back
    ended: bool = False
    reset: int | None = None

    @property
    def status(self) -> int:
        return int(self.head.get(":status", 0))


class Http2Client:
    def __init__(self, address: tuple[str, int]):
        self.socket = socket.create_connection(address, DEADLINE)
        self.authority = f"{address[0]}:{address[1]}"
        config = h2.config.H2Configuration(client_side=True, header_encoding="utf-8")
        self.connection = h2.connection.H2Connection(config)
        self.connection.initiate_connection()
        self.streams: dict[int, Stream] = {}
        self.goaway: int | None = None
        self.closed = False
        self.flush()

    def __enter__(self) -> "Http2Client":
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def flush(self) -> None:
        self.socket.sendall(self.connection.data_to_send())

    def request(
        self,
        method: str,
        path: str,
        body: bytes | dict | None = None,
        headers: list[tuple[str, str]] = (),
        end: bool = True,
    ) -> Stream:
        if isinstance(body, dict):
            body = json.dumps(body).encode()
        number = self.connection.get_next_available_stream_id()
        stream = self.streams[number] = Stream(number)
        head = [
            (":method", method),
            (":scheme", "http"),
            (":authority", self.authority),
            (":path", path),
            *headers,
        ]
        self.connection.send_headers(number, head, end_stream=body is None and end)
        if body is not None:
            self.send(stream, body, end)
        self.flush()
        return stream

    def send(self, stream: Stream, body: bytes, end: bool = False) -> None:
        """Sends at the pace of the windows."""
        view = memoryview(body)
        while len(view):
            room = min(
                self.connection.local_flow_control_window(stream.number),
                self.connection.max_outbound_frame_size,
                len(view),
            )
            if room == 0:
                self.flush()
                self.receive(DEADLINE)
                continue
            self.connection.send_data(stream.number, bytes(view[:room]))
            view = view[room:]
        if end:
            self.connection.end_stream(stream.number)
        self.flush()

    def chat(self, body: dict) -> Stream:
        head = [("content-type", "application/json")]
        return self.request("POST", "/v1/chat/completions", body, head)

    def cancel(self, stream: Stream) -> None:
        self.connection.reset_stream(stream.number, 8)
        self.flush()

    def receive(self, within: float) -> bool:
        """Takes in what comes next; False when nothing does."""
        self.socket.settimeout(max(within, 0.001))
        try:
            data = self.socket.recv(65536)
        except TimeoutError:
            return False
        if not data:
            self.closed = True
            return False
        for event in self.connection.receive_data(data):
            self.take(event)
        self.flush()
        return True

    def take(self, event: h2.events.Event) -> None:
        stream = self.streams.get(getattr(event, "stream_id", 0) or 0)
        if isinstance(event, h2.events.ConnectionTerminated):
            self.goaway = event.last_stream_id
        elif stream is None:
            return
        elif isinstance(event, h2.events.ResponseReceived):
            stream.head = dict(event.headers)
        elif isinstance(event, h2.events.TrailersReceived):
            stream.trailers = dict(event.headers)
        elif isinstance(event, h2.events.DataReceived):
            stream.body += event.data
            stream.unread += event.flow_controlled_length
        elif isinstance(event, h2.events.StreamEnded):
            stream.ended = True
        elif isinstance(event, h2.events.StreamReset):
            stream.reset = event.error_code

    def read_on(self, stream: Stream) -> None:
        """Opens the windows again by what has come."""
        if stream.unread:
            self.connection.acknowledge_received_data(stream.unread, stream.number)
            stream.unread = 0
            self.flush()

    def until(self, found, what: str, within: float = DEADLINE):
        deadline = time.monotonic() + within
        while not found():
            left = deadline - time.monotonic()
            assert left > 0 and not self.closed, f"not in time: {what}"
            self.receive(left)

    def answer(self, stream: Stream, within: float = DEADLINE) -> Stream:
        """The whole answer."""
        deadline = time.monotonic() + within
        while not stream.ended and stream.reset is None and not self.closed:
            self.receive(deadline - time.monotonic())
            self.read_on(stream)
            assert time.monotonic() < deadline, "no whole answer in time"
        return stream
