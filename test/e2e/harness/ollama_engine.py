"""A scripted Ollama, written from its documented API: what it lists, and its streams of JSON lines."""

from __future__ import annotations

import asyncio
import json

from . import fake_engine as fe

LINES_HEAD = fe.head_bytes(
    200, {"content-type": "application/x-ndjson", "transfer-encoding": "chunked"}, "OK"
)
COUNTS = {
    "total_duration": 4_935_886_791,
    "load_duration": 534_986_708,
    "prompt_eval_count": 26,
    "prompt_eval_duration": 107_345_000,
    "eval_count": 3,
    "eval_duration": 4_289_432_000,
}


def line(value: object) -> bytes:
    return json.dumps(value).encode() + b"\n"


def said(text: str, model: str = "m", **more: object) -> dict:
    message = {"role": "assistant", "content": text}
    return {"model": model, "created_at": "2026-01-01T00:00:00Z", "message": message} | {
        "done": False,
        **more,
    }


def made(text: str, model: str = "m", **more: object) -> dict:
    return {
        "model": model,
        "created_at": "2026-01-01T00:00:00Z",
        "response": text,
        "done": False,
        **more,
    }


def end(part) -> dict:
    return part("", done=True, done_reason="stop", **COUNTS)


def lines(*pieces: bytes | float, finish: str = "clean") -> fe.Reply:
    """A chunked stream of lines, as fake_engine.stream is one of events."""

    async def reply(exchange: fe.Exchange) -> None:
        exchange.send(LINES_HEAD)
        for piece in pieces:
            if isinstance(piece, (int, float)):
                await asyncio.sleep(piece)
                continue
            exchange.send(fe.chunk(piece))
            await exchange.flush()
        if finish == "clean":
            exchange.send(fe.LAST_CHUNK)
        elif finish == "close":
            exchange.close()
        else:
            await asyncio.Event().wait()

    return reply


async def plausible(exchange: fe.Exchange) -> None:
    heard = exchange.heard
    asked = heard.json()
    model = asked["model"]
    part = made if heard.target == "/api/generate" else said
    words = [part(word, model) for word in ("one ", "two ", "three")]
    last = end(part) | {"model": model}
    if heard.target in ("/api/chat", "/api/generate"):
        if asked.get("stream", True):
            await lines(*(line(value) for value in [*words, last]))(exchange)
        else:
            whole = part("one two three", model, done=True, done_reason="stop", **COUNTS)
            await fe.json_reply(whole)(exchange)
    elif heard.target == "/api/embed":
        texts = [asked["input"]] if isinstance(asked["input"], str) else asked["input"]
        body = {"model": model, "embeddings": [[0.25, 0.5] for _ in texts], "prompt_eval_count": 8}
        await fe.json_reply(body)(exchange)
    elif heard.target == "/api/show":
        await fe.json_reply({"details": {"family": "llama"}, "model_info": {}})(exchange)
    else:
        await fe.json_reply({"error": "not found"}, 404)(exchange)


def as_ollama(engine: fe.FakeEngine) -> fe.FakeEngine:
    """Makes a scripted engine answer polls and requests as Ollama does."""
    details = {"format": "gguf", "family": "llama", "parameter_size": "1B"}
    listed = [
        {
            "name": name,
            "model": name,
            "modified_at": "2026-01-01T00:00:00Z",
            "size": 1000,
            "size_vram": 1000,
            "digest": "a" * 64,
            "details": details,
            "context_length": 4096,
            "expires_at": "2036-01-01T00:00:00Z",
        }
        for name in engine.models
    ]
    models = [
        {"id": name, "object": "model", "created": 1, "owned_by": "library"}
        for name in engine.models
    ]
    pages = {
        "/v1/models": {"object": "list", "data": models},
        "/api/version": {"version": "0.33.0"},
        "/api/tags": {"models": listed},
        "/api/ps": {"models": listed},
    }

    async def answer_poll(exchange: fe.Exchange) -> None:
        target = exchange.heard.target
        if target == "/":
            await fe.body_reply(b"Ollama is running", "text/plain; charset=utf-8")(exchange)
        elif target in pages:
            await fe.json_reply(pages[target])(exchange)
        else:
            await fe.body_reply(b"404 page not found", "text/plain", 404)(exchange)

    engine.poll_reply = answer_poll
    engine.default = plausible
    return engine
