"""Every inference route, with the least body that it takes."""

from __future__ import annotations

MESSAGES = [{"role": "user", "content": "hello"}]

BODIES: dict[str, dict] = {
    "/v1/chat/completions": {"messages": MESSAGES},
    "/v1/completions": {"prompt": "hello"},
    "/v1/embeddings": {"input": "hello"},
    "/v1/responses": {"input": "hello"},
    "/v1/messages": {"max_tokens": 8, "messages": MESSAGES},
    "/v1/messages/count_tokens": {"messages": MESSAGES},
    "/v1/rerank": {"query": "hello", "documents": ["a", "b"]},
    "/v2/rerank": {"query": "hello", "documents": ["a", "b"]},
    "/rerank": {"query": "hello", "documents": ["a", "b"]},
    "/v1/score": {"text_1": "hello", "text_2": "hi"},
    "/score": {"text_1": "hello", "text_2": "hi"},
    "/classify": {"input": "hello"},
    "/tokenize": {"prompt": "hello"},
    "/detokenize": {"tokens": [1, 2]},
    "/v1/audio/speech": {"input": "hello", "voice": "alloy"},
    "/v1/images/generations": {"prompt": "hello"},
}
ROUTES = list(BODIES)
STREAMING = ["/v1/chat/completions", "/v1/completions", "/v1/responses", "/v1/messages"]


def body_of(route: str, model: str = "m", **fields: object) -> dict:
    return {"model": model, **BODIES[route], **fields}
