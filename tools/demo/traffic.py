"""Conversations through the official OpenAI client, and what their clients saw of them."""

from __future__ import annotations

import itertools
import os
import queue
import random
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from processes import MODEL, Mesh
from screen import SCREEN, milliseconds

CONVERSATIONS, TURNS = int(os.environ.get("DEMO_CONVERSATIONS", "8")), 8

PLACES = ["harbour", "library", "railway", "bakery", "theatre", "museum", "market", "workshop"]
RULES = [
    "Every visitor of the {p} is answered in the order they came",
    "The keeper of the {p} counts what was sent, not what was promised",
    "When a door of the {p} is closed, the next door is tried",
    "Nothing in the {p} waits for ever, and every wait has an end",
    "A long question at the {p} takes time before the first word",
    "What the {p} has read before need not be read again",
    "The {p} says early when it is full, and when to come back",
    "Half an answer from the {p} is not an answer",
]
QUESTIONS = [
    "who is first",
    "what is full",
    "when does it end",
    "where does it go",
    "why this one",
    "how long is it",
]


def system_prompt(place: str, salt: int) -> str:
    """Some 400 tokens that all turns of a conversation share, and no other salt."""
    rng = random.Random(f"{place} {salt}")
    rules = [f"Rule {rng.randrange(1000)}. {rng.choice(RULES).format(p=place)}." for _ in range(14)]
    return f"House {salt} of the {place}. " + " ".join(rules)


@dataclass
class Served:
    """One request as its client saw it."""

    conversation: int
    kind: str  # chat, chat stream, completion, completion stream
    engine: str = "-"
    reason: str = ""
    request_id: str = ""
    ttft: float | None = None  # streams only
    prompt_tokens: int = 0
    cached_tokens: int = 0
    tokens: int = 0
    text: str = ""
    began: bool = False
    error: str = ""


class Client:
    """The official OpenAI client without retries of its own: all retries are the router's."""

    def __init__(self, mesh: Mesh) -> None:
        import openai

        self.openai = openai
        self.api = openai.OpenAI(
            base_url=mesh.base + "/v1", api_key="any key", max_retries=0, timeout=60
        )

    def ask(
        self,
        conversation: int,
        kind: str,
        messages: list[dict],
        tokens: int,
        on_begin: Callable[[Served], None] = lambda _: None,
    ) -> Served:
        served = Served(conversation, kind)
        started = time.monotonic()
        try:
            raw = self.create(kind, messages, tokens)
            served.engine = raw.headers.get("x-infermesh-engine", "-")
            served.reason = raw.headers.get("x-infermesh-reason", "")
            served.request_id = raw.headers.get("x-request-id", "")
            answer = raw.parse()
            if kind.endswith("stream"):
                self.read_stream(served, answer, started, on_begin)
            else:
                self.read_whole(served, answer)
        except self.openai.APIError as error:
            served.error = (
                f"{getattr(error, 'code', None) or type(error).__name__}: {error.message}"
            )
            if response := getattr(error, "response", None):
                served.request_id = response.headers.get("x-request-id", "")
        return served

    def create(self, kind: str, messages: list[dict], tokens: int):
        stream = (
            {"stream": True, "stream_options": {"include_usage": True}}
            if kind.endswith("stream")
            else {}
        )
        if kind.startswith("chat"):
            return self.api.chat.completions.with_raw_response.create(
                model=MODEL, messages=messages, max_tokens=tokens, **stream
            )
        prompt = "\n".join(message["content"] for message in messages)
        return self.api.completions.with_raw_response.create(
            model=MODEL, prompt=prompt, max_tokens=tokens, **stream
        )

    @staticmethod
    def read_usage(served: Served, usage) -> None:
        served.prompt_tokens, served.tokens = usage.prompt_tokens, usage.completion_tokens
        if usage.prompt_tokens_details:
            served.cached_tokens = usage.prompt_tokens_details.cached_tokens or 0

    def read_stream(
        self, served: Served, stream, started: float, on_begin: Callable[[Served], None]
    ) -> None:
        for part in stream:
            if not served.began:
                served.began = True
                served.ttft = time.monotonic() - started
                on_begin(served)
            if part.choices:
                choice = part.choices[0]
                served.text += (
                    choice.delta.content if served.kind.startswith("chat") else choice.text
                ) or ""
            if part.usage:
                self.read_usage(served, part.usage)

    def read_whole(self, served: Served, answer) -> None:
        choice = answer.choices[0]
        served.text = (
            choice.message.content if served.kind.startswith("chat") else choice.text
        ) or ""
        self.read_usage(served, answer.usage)


def kind_of(number: int) -> str:
    """Mostly streamed chat, as most traffic is; every sort takes part."""
    return {3: "chat", 6: "completion", 7: "completion stream"}.get(number % 8, "chat stream")


def converse(client: Client, number: int, salt: int, show) -> list[Served]:
    """One conversation: each turn sends all that was said before."""
    messages = [{"role": "system", "content": system_prompt(PLACES[number], salt)}]
    served = []
    for turn in range(TURNS):
        messages.append(
            {
                "role": "user",
                "content": f"Turn {turn}: {QUESTIONS[(turn + number) % len(QUESTIONS)]}?",
            }
        )
        answer = client.ask(number + 1, kind_of(turn), messages, tokens=24)
        messages.append({"role": "assistant", "content": answer.text.strip() or "Yes."})
        served.append(answer)
        show(answer)
    return served


def run_traffic(mesh: Mesh, salt: int, show=lambda _: None) -> list[Served]:
    client = Client(mesh)
    with ThreadPoolExecutor(CONVERSATIONS) as pool:
        runs = [
            pool.submit(converse, client, number, salt, show) for number in range(CONVERSATIONS)
        ]
        return list(itertools.chain.from_iterable(run.result() for run in runs))


WHY = {
    "only_one": "the only one that is ready",
    "policy": "its turn",
    "least_loaded": "least work ahead",
    "fastest": "measured as soonest",
    "session": "this session's engine",
    "fallback": "least in flight: nothing better is known",
}


def why(mesh: Mesh, served: Served) -> str:
    record = mesh.decision(served.request_id)
    if not record or not record["attempts"]:
        return served.reason
    attempt = record["attempts"][-1]
    decision = attempt["decision"]
    if served.reason == "prefix_cached":
        whole = decision["cached_tokens"] + decision["uncached_tokens"]
        share = 100 * decision["cached_tokens"] / max(1, whole)
        return f"holds {share:.0f} % of prompt"
    retried = f"attempt {len(record['attempts'])}: " if len(record["attempts"]) > 1 else ""
    return retried + WHY.get(served.reason, served.reason)


class LiveTable:
    """One line a request, as they are answered."""

    HEADER = (
        f"{'req':<4} {'conv':<4} {'kind':<17} {'engine':<7} {'why':<22} {'ttft':>6} {'cached':>7}"
    )

    def __init__(self, mesh: Mesh) -> None:
        self.mesh = mesh
        self.count = itertools.count(1)
        self.waiting: queue.Queue[Served | None] = queue.Queue()
        self.thread = threading.Thread(target=self.run, daemon=True)

    def __enter__(self) -> LiveTable:
        SCREEN.detail(SCREEN.paint("2", self.HEADER))
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.waiting.put(None)
        self.thread.join()

    def show(self, served: Served) -> None:
        self.waiting.put(served)

    def run(self) -> None:
        while served := self.waiting.get():
            number = next(self.count)
            if served.error:
                SCREEN.detail(
                    f"{number:03}  c{served.conversation:<3} {served.kind:<17} {served.error[:44]}"
                )
                continue
            cached = f"{100 * served.cached_tokens / max(1, served.prompt_tokens):.0f} %"
            SCREEN.detail(
                f"{number:03}  c{served.conversation:<3} {served.kind:<17} {served.engine:<7} "
                f"{why(self.mesh, served):<22.22} {milliseconds(served.ttft):>6} {cached:>7}"
            )


# ---- figures
@dataclass
class Figures:
    ttfts: list[float] = field(default_factory=list)
    prompt_tokens: int = 0
    cached_tokens: int = 0
    requests: int = 0
    lost: int = 0

    @property
    def hits(self) -> float:
        return self.cached_tokens / max(1, self.prompt_tokens)

    def percentile(self, share: float) -> float:
        ordered = sorted(self.ttfts) or [0.0]
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))]

    def ttft_text(self) -> str:
        return f"{self.percentile(0.5) * 1000:.0f} / {self.percentile(0.99) * 1000:.0f} ms"


def figures_of(served: list[Served]) -> Figures:
    figures = Figures(requests=len(served))
    for one in served:
        if one.ttft is not None:
            figures.ttfts.append(one.ttft)
        figures.prompt_tokens += one.prompt_tokens
        figures.cached_tokens += one.cached_tokens
        figures.lost += bool(one.error)
    return figures
