"""A client that says exactly the bytes it is told to, and reads answers strictly."""

from __future__ import annotations

import json
import re
import select
import socket
import struct
import time
from dataclasses import dataclass, field

from .wait import DEADLINE

CRLF = b"\r\n"


class Closed(Exception):
    """The connection ended: `had` is what came before."""

    def __init__(self, had: bytes, reset: bool):
        super().__init__(f"connection {'reset' if reset else 'closed'} after {had[-200:]!r}")
        self.had = had
        self.reset = reset


@dataclass
class Answer:
    status: int
    reason: str
    headers: list[tuple[str, str]]
    body: bytes = b""
    whole: bool = True  # ended as its framing says; false: cut short
    chunks: list[bytes] = field(default_factory=list)

    def header(self, name: str) -> str | None:
        values = self.all(name)
        return values[0] if values else None

    def all(self, name: str) -> list[str]:
        return [value for key, value in self.headers if key.lower() == name.lower()]

    def json(self):
        return json.loads(self.body)

    def events(self) -> list[Event]:
        return parse_events(self.body)


@dataclass
class Event:
    data: str
    kind: str = ""

    def json(self):
        return json.loads(self.data)


def parse_events(body: bytes) -> list[Event]:
    events = []
    for block in re.split(r"\r?\n\r?\n", body.decode()):
        fields: dict[str, list[str]] = {}
        for line in block.splitlines():
            name, _, value = line.partition(":")
            if name:
                fields.setdefault(name, []).append(value.removeprefix(" "))
        if "data" in fields:
            events.append(Event("\n".join(fields["data"]), fields.get("event", [""])[-1]))
    return events


def request_bytes(
    method: str,
    target: str,
    body: bytes = b"",
    headers: dict[str, str] | None = None,
    host: str = "test",
) -> bytes:
    head = [f"{method} {target} HTTP/1.1", f"host: {host}"]
    fields = {name.lower(): value for name, value in (headers or {}).items()}
    if body or method in ("POST", "PUT"):
        fields.setdefault("content-type", "application/json")
        if "transfer-encoding" not in fields:
            fields.setdefault("content-length", str(len(body)))
    head += [f"{name}: {value}" for name, value in fields.items()]
    return "\r\n".join(head).encode("latin-1") + CRLF + CRLF + body


class Wire:
    """One TCP connection."""

    def __init__(self, address: tuple[str, int], receive_buffer: int | None = None):
        self.socket = socket.socket()
        if receive_buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.settimeout(DEADLINE)
        self.socket.connect(address)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buffer = b""

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def request(
        self, method: str, target: str, body: bytes = b"", headers: dict[str, str] | None = None
    ) -> None:
        self.send(request_bytes(method, target, body, headers))

    # ---- reading
    def fill(self, deadline: float) -> None:
        """Reads some more bytes into the buffer; raises Closed at the end and TimeoutError at the
        deadline.
        """
        left = deadline - time.monotonic()
        if left <= 0 or not select.select([self.socket], [], [], left)[0]:
            raise TimeoutError(f"no more bytes; had {self.buffer[-300:]!r}")
        try:
            data = self.socket.recv(1 << 16)
        except ConnectionResetError:
            raise Closed(self.buffer, reset=True) from None
        if not data:
            raise Closed(self.buffer, reset=False)
        self.buffer += data

    def take_until(self, mark: bytes, within: float = DEADLINE) -> bytes:
        deadline = time.monotonic() + within
        while mark not in self.buffer:
            self.fill(deadline)
        end = self.buffer.index(mark) + len(mark)
        taken, self.buffer = self.buffer[:end], self.buffer[end:]
        return taken

    def take(self, count: int, within: float = DEADLINE) -> bytes:
        deadline = time.monotonic() + within
        while len(self.buffer) < count:
            self.fill(deadline)
        taken, self.buffer = self.buffer[:count], self.buffer[count:]
        return taken

    def head(self, within: float = DEADLINE) -> Answer:
        lines = self.take_until(CRLF + CRLF, within).decode("latin-1").split("\r\n")
        found = re.fullmatch(r"HTTP/1\.1 (\d{3}) ?(.*)", lines[0])
        assert found, f"not a status line: {lines[0]!r}"
        headers = []
        for line in lines[1:-2]:
            name, colon, value = line.partition(":")
            assert colon and name == name.strip(), f"not a header: {line!r}"
            headers.append((name, value.strip()))
        return Answer(int(found[1]), found[2], headers)

    def chunk(self, within: float = DEADLINE) -> bytes:
        """The next chunk's data; b"" is the last one, with its trailer."""
        size_line = self.take_until(CRLF, within)
        assert re.fullmatch(rb"[0-9a-fA-F]+\r\n", size_line), f"bad chunk size: {size_line!r}"
        size = int(size_line, 16)
        if size == 0:
            trailer = self.take_until(CRLF, within)
            assert trailer == CRLF, f"unexpected trailer: {trailer!r}"
            return b""
        data = self.take(size + 2, within)
        assert data.endswith(CRLF), "chunk without its end"
        return data[:-2]

    def body(self, answer: Answer, within: float = DEADLINE) -> Answer:
        """Reads the rest of `answer`; a premature end gives whole == False."""
        try:
            if (answer.header("transfer-encoding") or "").lower() == "chunked":
                while data := self.chunk(within):
                    answer.chunks.append(data)
                    answer.body += data
            elif (length := answer.header("content-length")) is not None:
                answer.body = self.take(int(length), within)
            elif answer.status not in (204, 304):
                while True:
                    self.fill(time.monotonic() + within)
        except Closed as end:
            delimited = any(answer.header(name) for name in ("transfer-encoding", "content-length"))
            if not delimited:
                answer.body += end.had
            answer.whole = not delimited
            self.buffer = b""
        return answer

    def answer(self, within: float = DEADLINE) -> Answer:
        answer = self.head(within)
        while 100 <= answer.status < 200:
            answer = self.head(within)
        return self.body(answer, within)

    def event(self, within: float = DEADLINE) -> Event:
        """The next server-sent event of a chunked stream whose head has been read; skips
        comments.
        """
        while True:
            found = parse_events(self.next_block(within))
            if found:
                return found[0]

    def next_block(self, within: float = DEADLINE) -> bytes:
        """The next block of a stream (an event or a comment), without its chunk framing."""
        if not hasattr(self, "stream"):
            self.stream = b""
        while b"\n\n" not in self.stream:
            data = self.chunk(within)
            if not data:
                raise Closed(self.stream, reset=False)
            self.stream += data
        block, _, self.stream = self.stream.partition(b"\n\n")
        return block + b"\n\n"

    def wait_closed(self, within: float = DEADLINE) -> bytes:
        """Waits for the other side to end the connection; what came before that."""
        deadline = time.monotonic() + within
        while True:
            try:
                self.fill(deadline)
            except Closed as end:
                return end.had

    # ---- ending
    def close(self) -> None:
        self.socket.close()

    def reset(self) -> None:
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    def half_close(self) -> None:
        self.socket.shutdown(socket.SHUT_WR)

    def __enter__(self) -> Wire:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def address_of(text: str) -> tuple[str, int]:
    host, _, port = text.removeprefix("http://").removeprefix("https://").rstrip("/").rpartition(":")
    return host.strip("[]"), int(port)


def call(
    address: tuple[str, int],
    method: str,
    target: str,
    body: bytes | dict | list = b"",
    headers: dict[str, str] | None = None,
    within: float = DEADLINE,
) -> Answer:
    """One request on a connection of its own."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    with Wire(address) as wire:
        wire.request(method, target, data, {"connection": "close", **(headers or {})})
        return wire.answer(within)
