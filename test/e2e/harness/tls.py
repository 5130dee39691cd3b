"""TLS for tests: certificates made by the `openssl` command, and a client that says exactly what it
is told to over them.
"""

from __future__ import annotations

import pathlib
import socket
import ssl
import subprocess
import time
from dataclasses import dataclass

from .wait import DEADLINE
from .wire import CRLF, Closed, Wire

LOCAL = "DNS:localhost,IP:127.0.0.1"


def openssl(*arguments: str, data: bytes = b"", within: float = DEADLINE):
    return subprocess.run(
        ["openssl", *map(str, arguments)], input=data, capture_output=True, timeout=within
    )


@dataclass
class Pair:
    cert: pathlib.Path
    key: pathlib.Path


class Authority:
    """A certificate authority in a folder."""

    def __init__(self, folder: pathlib.Path, name: str = "test CA"):
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.pair = self.make_key("ca")
        self.run(
            *("req", "-x509", "-new", "-key", self.pair.key, "-out", self.pair.cert),
            *("-days", "30", "-subj", f"/CN={name}"),
        )

    @property
    def cert(self) -> pathlib.Path:
        return self.pair.cert

    @staticmethod
    def run(*arguments: object) -> None:
        made = openssl(*arguments)
        assert made.returncode == 0, made.stderr.decode()

    def make_key(self, name: str) -> Pair:
        pair = Pair(self.folder / f"{name}.crt", self.folder / f"{name}.key")
        self.run(
            *("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"),
            *("-out", pair.key),
        )
        return pair

    def issue(self, name: str, names: str = LOCAL, days: int = 30) -> Pair:
        """A certificate for `names`. With days below 0 it has run out."""
        pair = self.make_key(name)
        request, extra = self.folder / f"{name}.csr", self.folder / f"{name}.ext"
        extra.write_text(f"subjectAltName={names}\n")
        self.run("req", "-new", "-key", pair.key, "-out", request, "-subj", f"/CN={name}")
        self.run(
            *("x509", "-req", "-in", request, "-CA", self.pair.cert, "-CAkey", self.pair.key),
            *("-CAcreateserial", "-days", days, "-extfile", extra, "-out", pair.cert),
        )
        return pair


def server_context(pair: Pair, client_ca: pathlib.Path | None = None) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pair.cert, pair.key)
    if client_ca:
        context.load_verify_locations(client_ca)
        context.verify_mode = ssl.CERT_REQUIRED
    return context


def client_context(ca: pathlib.Path, pair: Pair | None = None) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=str(ca))
    if pair:
        context.load_cert_chain(pair.cert, pair.key)
    return context


class TlsWire(Wire):
    """One TLS connection."""

    def __init__(
        self,
        address: tuple[str, int],
        context: ssl.SSLContext,
        name: str = "localhost",
        session: ssl.SSLSession | None = None,
        receive_buffer: int | None = None,
    ):
        super().__init__(address, receive_buffer)
        self.socket: ssl.SSLSocket = context.wrap_socket(
            self.socket, server_hostname=name, session=session
        )

    def fill(self, deadline: float) -> None:
        left = deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError(f"no more bytes; had {self.buffer[-300:]!r}")
        self.socket.settimeout(left)
        try:
            data = self.socket.recv(1 << 16)
        except (ConnectionResetError, ssl.SSLError):
            raise Closed(self.buffer, reset=True) from None
        finally:
            self.socket.settimeout(DEADLINE)
        if not data:
            raise Closed(self.buffer, reset=False)
        self.buffer += data

    def names(self) -> set[str]:
        """The DNS names of the peer's certificate."""
        return {value for kind, value in self.socket.getpeercert()["subjectAltName"] if kind == "DNS"}


def connect_raw(address: tuple[str, int]) -> socket.socket:
    raw = socket.create_connection(address, DEADLINE)
    raw.settimeout(DEADLINE)
    return raw


__all__ = ["Authority", "CRLF", "Pair", "TlsWire", "client_context", "connect_raw", "openssl", "server_context"]
