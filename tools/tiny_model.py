"""Writes a tiny language model as a GGUF file: real enough for llama.cpp to serve, made in about a
second.

    .venv/bin/python tools/tiny_model.py build/models/tiny.gguf

Nothing is trained. A token's embedding is a one-hot vector, and the output matrix holds the
logarithms of a bigram table counted over TEXT below, so what the model "says" is stitched from
those sentences. The two transformer blocks between them have small random weights: they hardly bend
the answer, but they cost real work and fill a real KV cache, so prompts, streams, token counts and
prefix reuse are those of any engine. The same command writes the same bytes.
"""

from __future__ import annotations

import argparse
import pathlib
import re
from collections import Counter
from dataclasses import dataclass

import gguf
import numpy as np

END_OF_TEXT, TURN_START, TURN_END = "<|endoftext|>", "<|im_start|>", "<|im_end|>"
SPECIAL = [END_OF_TEXT, TURN_START, TURN_END]

CHAT_TEMPLATE = (
    "{%- for m in messages -%}"
    "<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor -%}"
    "{%- if add_generation_prompt -%}<|im_start|>assistant\n{% endif -%}"
)

TEXT = """\
A router stands before many replicas of one model. Every request comes to the router first, and the router chooses.
The best replica is the one that will answer soonest, not the one that looks idle.
A replica that has read the same words before keeps them in memory, so it can begin its answer at once.
Long prompts cost time before the first word. Long answers cost time after it.
The router counts what it has sent, because the numbers that a replica reports are always a little old.
When two replicas look the same, the router takes the one with the smaller name, so that the choice can be repeated.
A replica may be busy, hot, full or broken. The router learns this from the answers and from the silence.
If a replica breaks before its first word, the request goes to another replica and nobody notices.
If a replica breaks in the middle of an answer, the reader is told, because half an answer is not an answer.
A queue is a promise with a limit. When the promise cannot be kept, the router says so early and says when to come back.
Nothing waits for ever. Every wait has an end, and the end has a name.
The mesh is made of routers and replicas that know about each other. New replicas join, old replicas drain and leave.
A replica that drains finishes what it has begun and takes nothing new.
Fair means that a small question does not stand behind a great book.
The memory of a replica is made of blocks. A block that nobody asks for is the first to go.
Words come out one by one, and each word must be sent on the moment it is made.
A good router is quiet. It adds less than a blink, it loses nothing, and it can say why it chose.
I am a very small model. I know only a few sentences about routers, but the engine that runs me is a
real one.
"""

# Pieces that are never merged across: words with their leading space, numbers, signs, white space.
PIECES = re.compile(r" ?[A-Za-z]+| ?\d+| ?[^\sA-Za-z\d]+|\s+")


def printable_bytes() -> list[str]:
    """The character by which a byte-level vocabulary writes each of the 256 bytes."""
    plain = {*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
    spare = iter(range(0x100, 0x200))
    return [chr(b) if b in plain else chr(next(spare)) for b in range(256)]


BYTES = printable_bytes()


def spell(piece: str) -> tuple[str, ...]:
    return tuple(BYTES[b] for b in piece.encode())


def join_pair(word: tuple[str, ...], pair: tuple[str, str]) -> tuple[str, ...]:
    """`word` with every occurrence of `pair` written as one symbol."""
    out: list[str] = []
    for symbol in word:
        if out and (out[-1], symbol) == pair:
            out[-1] += symbol
        else:
            out.append(symbol)
    return tuple(out)


@dataclass
class Tokenizer:
    tokens: list[str]
    merges: list[tuple[str, str]]

    def __post_init__(self) -> None:
        self.ids = {token: i for i, token in enumerate(self.tokens)}
        self.known: dict[str, list[int]] = {}

    def encode(self, text: str) -> list[int]:
        return [i for piece in PIECES.findall(text) for i in self.encode_piece(piece)]

    def encode_piece(self, piece: str) -> list[int]:
        if piece not in self.known:
            word = spell(piece)
            for pair in self.merges:  # in the order learnt, which is their rank
                word = join_pair(word, pair)
            self.known[piece] = [self.ids[symbol] for symbol in word]
        return self.known[piece]


def learn_tokenizer(text: str, size: int) -> Tokenizer:
    """Byte pair encoding: joins the commonest neighbours until there are `size` tokens."""
    tokens = SPECIAL + BYTES
    merges: list[tuple[str, str]] = []
    words = Counter(spell(piece) for piece in PIECES.findall(text))
    while len(tokens) < size:
        pairs: Counter[tuple[str, str]] = Counter()
        for word, times in words.items():
            for pair in zip(word, word[1:]):
                pairs[pair] += times
        if not pairs:
            break
        best = min(pairs, key=lambda pair: (-pairs[pair], pair))
        merges.append(best)
        tokens.append(best[0] + best[1])
        joined: Counter[tuple[str, ...]] = Counter()
        for word, times in words.items():
            joined[join_pair(word, best)] += times
        words = joined
    tokens += [f"<|unused_{i}|>" for i in range(len(tokens), size)]
    return Tokenizer(tokens, merges)


def bigram_logits(text: str, tokenizer: Tokenizer, stop_chance: float) -> np.ndarray:
    """Row: the token before; column: the logarithm of how likely the token after is."""
    size = len(tokenizer.tokens)
    counts = np.zeros((size, size))
    newline, full_stop = tokenizer.ids[BYTES[0x0A]], tokenizer.ids["."]
    for line in text.splitlines():
        ids = tokenizer.encode(line)
        np.add.at(counts, (ids[:-1], ids[1:]), 1)
        counts[newline, ids[0]] += 1
        counts[full_stop, tokenizer.encode(" " + line)[0]] += (
            1  # sentences follow each other in a paragraph
        )
    counts[tokenizer.ids[TURN_END], newline] = 1
    silent = counts.sum(axis=1) == 0
    counts[silent] = counts[
        newline
    ]  # a token that the text never goes on from begins a new sentence
    chance = counts / counts.sum(axis=1, keepdims=True)
    chance[full_stop] *= 1 - stop_chance
    chance[full_stop, tokenizer.ids[TURN_END]] += stop_chance
    return np.log(np.maximum(chance, 1e-6))


@dataclass(frozen=True)
class Shape:
    vocabulary: int = 640  # also the width, the embeddings being one-hot
    blocks: int = 2
    heads: int = 10
    feed_forward: int = 640
    context: int = 8192


def make_tensors(shape: Shape, logits: np.ndarray) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(6400)
    width = shape.vocabulary

    def random(rows: int, columns: int, size: float) -> np.ndarray:
        return (rng.standard_normal((rows, columns)) * size).astype(np.float16)

    # The last norm turns a one-hot vector into sqrt(width) times itself: the output matrix takes
    # that back.
    tensors = {
        "token_embd.weight": np.eye(width, dtype=np.float16),
        "output_norm.weight": np.ones(width, np.float32),
        "output.weight": (logits.T / np.sqrt(width)).astype(np.float16),
    }
    lively, faint = width**-0.5, 0.02 / width
    for block in range(shape.blocks):
        name = f"blk.{block}."
        tensors[name + "attn_norm.weight"] = np.ones(width, np.float32)
        tensors[name + "ffn_norm.weight"] = np.ones(width, np.float32)
        for part in ("attn_q", "attn_k", "attn_v"):
            tensors[name + part + ".weight"] = random(width, width, lively)
        tensors[name + "attn_output.weight"] = random(width, width, faint)
        tensors[name + "ffn_gate.weight"] = random(shape.feed_forward, width, lively)
        tensors[name + "ffn_up.weight"] = random(shape.feed_forward, width, lively)
        tensors[name + "ffn_down.weight"] = random(width, shape.feed_forward, faint)
    return tensors


def token_kind(token: str) -> gguf.TokenType:
    if token in SPECIAL:
        return gguf.TokenType.CONTROL
    return gguf.TokenType.UNUSED if token.startswith("<|unused_") else gguf.TokenType.NORMAL


def add_header(writer: gguf.GGUFWriter, shape: Shape, tokenizer: Tokenizer) -> None:
    writer.add_name("tiny-llama")
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_F16)
    writer.add_vocab_size(shape.vocabulary)
    writer.add_context_length(shape.context)
    writer.add_embedding_length(shape.vocabulary)
    writer.add_block_count(shape.blocks)
    writer.add_head_count(shape.heads)
    writer.add_head_count_kv(shape.heads)
    writer.add_rope_dimension_count(shape.vocabulary // shape.heads)
    writer.add_rope_freq_base(10_000.0)
    writer.add_feed_forward_length(shape.feed_forward)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list(tokenizer.tokens)
    writer.add_token_types([token_kind(token) for token in tokenizer.tokens])
    writer.add_token_merges([" ".join(pair) for pair in tokenizer.merges])
    writer.add_bos_token_id(tokenizer.ids[END_OF_TEXT])
    writer.add_eos_token_id(tokenizer.ids[TURN_END])
    writer.add_add_bos_token(False)
    writer.add_chat_template(CHAT_TEMPLATE)


def write_model(path: pathlib.Path, shape: Shape = Shape()) -> None:
    tokenizer = learn_tokenizer(TEXT, shape.vocabulary)
    tensors = make_tensors(shape, bigram_logits(TEXT, tokenizer, stop_chance=0.04))
    path.parent.mkdir(parents=True, exist_ok=True)
    half_written = path.with_suffix(".part")
    writer = gguf.GGUFWriter(half_written, "llama")
    add_header(writer, shape, tokenizer)
    for name, values in tensors.items():
        writer.add_tensor(name, values)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    half_written.rename(path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "path", type=pathlib.Path, nargs="?", default=pathlib.Path("build/models/tiny.gguf")
    )
    path = parser.parse_args().path
    write_model(path)
    print(f"{path}: {path.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
