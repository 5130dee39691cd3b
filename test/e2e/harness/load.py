"""Many clients at once, each request's fate kept."""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass

from .mesh import Mesh
from .wait import DEADLINE, eventually
from .wire import Answer, Closed


@dataclass
class Fate:
    """What became of one request. begun: its answer's head had come; lost: no answer and no error
    that can be seen.
    """

    stream: bool
    answer: Answer | None = None
    failure: str = ""

    @property
    def ok(self) -> bool:
        done = self.answer is not None and self.answer.status == 200 and self.answer.whole
        return done and (not self.stream or self.answer.body.rstrip().endswith(b"data: [DONE]"))

    @property
    def told(self) -> bool:
        """A stream that broke after it had begun and said so."""
        return (
            self.answer is not None
            and self.answer.status == 200
            and self.stream
            and b'"error"' in self.answer.body
        )

    def __str__(self) -> str:
        if self.answer is None:
            return self.failure
        return f"{self.answer.status} whole={self.answer.whole} {self.answer.body[-200:]!r}"


class Load:
    """Keeps `clients` requests in flight until it is stopped."""

    def __init__(
        self,
        mesh: Mesh,
        model: str,
        clients: int = 8,
        stream_share: float = 0.5,
        tokens: int = 64,
        route: str = "/v1/chat/completions",
    ):
        self.mesh, self.model, self.route = mesh, model, route
        self.stream_share, self.tokens = stream_share, tokens
        self.fates: list[Fate] = []
        self.lock = threading.Lock()
        self.stopped = threading.Event()
        self.threads = [
            threading.Thread(target=self.run, args=(i,), daemon=True) for i in range(clients)
        ]
        for thread in self.threads:
            thread.start()

    def run(self, number: int) -> None:
        count = 0
        while not self.stopped.is_set():
            count += 1
            stream = (count * 0.618 + number * 0.31) % 1.0 < self.stream_share
            fate = self.one(f"Client {number} asks question {count}.", stream)
            with self.lock:
                self.fates.append(fate)

    def one(self, text: str, stream: bool) -> Fate:
        body = {
            "model": self.model,
            "messages": [{"role": "user", "content": text}],
            "max_tokens": self.tokens,
            "stream": stream,
        }
        fate = Fate(stream)
        try:
            with self.mesh.wire() as wire:
                wire.request("POST", self.route, json.dumps(body).encode())
                fate.answer = wire.answer(within=DEADLINE * 3)
        except (OSError, Closed, AssertionError) as failure:
            fate.failure = f"{type(failure).__name__}: {failure}"
        return fate

    def wait_answered(self, count: int) -> None:
        eventually(
            lambda: len(self.fates) >= count,
            f"{count} more requests are answered",
            within=DEADLINE * 3,
        )

    def wait_more(self, count: int) -> None:
        self.wait_answered(len(self.fates) + count)

    def stop(self) -> list[Fate]:
        self.stopped.set()
        for thread in self.threads:
            thread.join(DEADLINE * 3)
        return self.fates
