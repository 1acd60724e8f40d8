#!/usr/bin/env python3
"""Write a hand-made test model: a GGUF file that really loads and knows one sentence.

Nothing is trained and nothing is downloaded.  The network is a plain "llama" whose attention output and
FFN down projections are zero, so what reaches the output matrix is the embedding of the last token alone.
The output matrix is a lookup table: the row of every token of the reply points at the embedding of the token
before it.  Whatever the prompt, the model therefore says the chosen reply and ends its turn.  All other
matrices hold filler that is really multiplied: time and memory are those of any model of that shape.

Same arguments, same bytes: all values are cut from a SHAKE-256 stream, one by one, so neither a random generator's
version nor the order of a floating-point sum can change the file.

A raw completion whose prompt ends in a word of the reply goes on from that word.
"""

import argparse
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import gguf
import numpy as np
from numpy.typing import NDArray

REPLY = "Hello! I am a test model made by hand, and this sentence is all I know."
NAME = "tiny-handmade"
CONTEXT = 4096
MARGIN = 12.0
"""Least distance, in nats, between the logit of the right token and any other: one slip in 160 000 tokens."""

CONTROL = ("<unk>", "<s>", "</s>", "<|system|>", "<|user|>", "<|assistant|>", "<|tool|>", "<|end|>")
UNKNOWN, BOS, ASSISTANT, END = (CONTROL.index(t) for t in ("<unk>", "<s>", "<|assistant|>", "<|end|>"))
CHAT_TEMPLATE = (
    "{%- for message in messages -%}"
    "{{- '<|' + message['role'] + '|>' + (message['content'] or '') + '<|end|>' -}}"
    "{%- endfor -%}"
    "{%- if add_generation_prompt -%}{{- '<|assistant|>' -}}{%- endif -%}"
)
SPACE = "\u2581"
"""How a SentencePiece vocabulary spells a blank."""


@dataclass(frozen=True)
class Shape:
    """Dimensions of the network, and whether its matrices are q8_0 (else float16)."""

    layers: int
    embedding: int
    feed_forward: int
    heads: int
    kv_heads: int
    quantised: bool


SHAPES = {
    "tiny": Shape(layers=1, embedding=64, feed_forward=64, heads=2, kv_heads=1, quantised=False),
    "small": Shape(layers=4, embedding=512, feed_forward=1536, heads=8, kv_heads=4, quantised=True),
    "medium": Shape(layers=8, embedding=896, feed_forward=3072, heads=14, kv_heads=2, quantised=True),
    "large": Shape(layers=24, embedding=1024, feed_forward=6144, heads=16, kv_heads=4, quantised=True),
}
"""The larger shapes are for tests of slow loads and of memory: 14, 87 and 549 MB of q8_0."""


@dataclass(frozen=True)
class Vocabulary:
    """Tokens in order of their ids; `chain` holds the ids that are spoken, first to last."""

    tokens: tuple[str, ...]
    types: tuple[int, ...]
    chain: tuple[int, ...]

    @property
    def prompt(self) -> list[int]:
        """The ids that occur in prompts only: after any of them the reply begins."""
        return [number for number in range(len(self.tokens)) if number not in {ASSISTANT, *self.chain}]


def pieces(reply: str, taken: set[str]) -> list[str]:
    """Cut `reply` at its blanks into tokens that all differ from each other and from `taken`.

    A word that occurs twice is joined to its successor, because a token has only one successor in the chain.
    """
    found: list[str] = []
    pending = ""
    for number, word in enumerate(reply.split(" ")):
        pending += (SPACE if number else "") + word
        if pending and pending not in taken and pending not in found:
            found.append(pending)
            pending = ""
    while pending and found and (pending in taken or pending in found):
        pending = found.pop() + pending
    if pending in taken or not (pending or found):
        raise ValueError(f"the reply {reply!r} cannot be told from the rest of the vocabulary: give it a whole word")
    return [*found, pending] if pending else found


def vocabulary(reply: str) -> Vocabulary:
    """Control tokens, one token per byte, one per printable ASCII character, and the pieces of `reply`."""
    kinds = gguf.TokenType
    entries = [(text, kinds.UNKNOWN if text == "<unk>" else kinds.CONTROL) for text in CONTROL]
    entries += [(f"<0x{byte:02X}>", kinds.BYTE) for byte in range(256)]
    entries += [(text, kinds.NORMAL) for text in (SPACE, "\n", *map(chr, range(33, 127)))]
    first = len(entries)
    entries += [(piece, kinds.NORMAL) for piece in pieces(reply, {text for text, _ in entries})]
    tokens, types = zip(*entries, strict=True)
    return Vocabulary(tokens, tuple(int(kind) for kind in types), tuple(range(first, len(entries))))


def noise(seed: int, label: str, rows: int, columns: int) -> NDArray[np.int8]:
    """Bytes that depend on nothing but the arguments."""
    stream = hashlib.shake_256(f"{seed}/{label}".encode()).digest(rows * columns)
    return np.frombuffer(stream, dtype=np.int8).reshape(rows, columns)


def signs(seed: int, label: str, rows: int, columns: int) -> NDArray[np.float32]:
    """Rows of +1 and -1: vectors of equal length that are nearly orthogonal to each other."""
    return np.where(noise(seed, label, rows, columns) < 0, np.float32(-1), np.float32(1))


def embeddings(seed: int, words: Vocabulary, width: int) -> NDArray[np.float32]:
    """A direction of its own for every spoken token; all others lie close to the one that opens an answer."""
    table = signs(seed, "embedding", len(words.tokens), width)
    different = noise(seed, "prompt", len(words.prompt), width) < -120  # one sign in 32
    table[words.prompt] = np.where(different, -table[ASSISTANT], table[ASSISTANT])
    return table


def successors(words: Vocabulary, endless: bool) -> list[tuple[int, int]]:
    """Pairs of (token, the token that follows it): the reply, then its end or its beginning again."""
    spoken = [ASSISTANT, *words.chain]
    return list(zip(spoken, [*words.chain, words.chain[0] if endless else END], strict=True))


def output(table: NDArray[np.float32], words: Vocabulary, endless: bool) -> NDArray[np.float32]:
    """The lookup table from the last token's embedding to the logits of the next one.

    Raises ValueError when the reply has too many words to be told apart in so few dimensions.
    """
    rows = np.zeros_like(table)
    pairs = successors(words, endless)
    for token, successor in pairs:
        rows[successor] += table[token]
    expected = dict(pairs) | dict.fromkeys(words.prompt, words.chain[0])
    tokens, following = list(expected), list(expected.values())
    logits = table @ rows.T
    right = logits[tokens, following].copy()
    logits[tokens, following] = -np.inf
    if float((right - logits[tokens].max(axis=1)).min()) < MARGIN:
        raise ValueError("these words are not told apart for sure: try another seed, a shorter reply or a larger size")
    return rows


class Writer:
    """A GGUF file in the making: the metadata llama.cpp needs, and tensors in the shape's type."""

    def __init__(self, out: Path, shape: Shape) -> None:
        self.file = gguf.GGUFWriter(out, "llama")
        self.shape = shape

    def metadata(self, name: str) -> None:
        file, shape = self.file, self.shape
        kinds = gguf.LlamaFileType
        file.add_name(name)
        file.add_description("hand-made test model that knows one sentence; not trained, no third-party weights")
        file.add_license("CC0-1.0")
        file.add_context_length(CONTEXT)
        file.add_embedding_length(shape.embedding)
        file.add_block_count(shape.layers)
        file.add_feed_forward_length(shape.feed_forward)
        file.add_head_count(shape.heads)
        file.add_head_count_kv(shape.kv_heads)
        file.add_layer_norm_rms_eps(1e-5)
        file.add_rope_dimension_count(shape.embedding // shape.heads)
        file.add_rope_freq_base(10000.0)
        file.add_file_type(kinds.MOSTLY_Q8_0 if shape.quantised else kinds.MOSTLY_F16)

    def tokenizer(self, words: Vocabulary) -> None:
        """SentencePiece with scores that prefer the pieces of the reply to single characters."""
        file = self.file
        first = words.chain[0]
        scores = [-1000.0 if token < first else float(first - token) for token in range(len(words.tokens))]
        file.add_vocab_size(len(words.tokens))
        file.add_tokenizer_model("llama")
        file.add_tokenizer_pre("default")
        file.add_token_list(words.tokens)
        file.add_token_scores(scores)
        file.add_token_types(words.types)
        file.add_unk_token_id(UNKNOWN)
        file.add_bos_token_id(BOS)
        file.add_eos_token_id(END)
        file.add_add_bos_token(True)
        file.add_add_eos_token(False)
        file.add_add_space_prefix(False)
        file.add_chat_template(CHAT_TEMPLATE)

    def vector(self, name: str, width: int) -> None:
        self.file.add_tensor(name, np.ones(width, dtype=np.float32))

    def matrix(self, name: str, values: NDArray[np.float32]) -> None:
        if self.shape.quantised:
            kind = gguf.GGMLQuantizationType.Q8_0
            self.file.add_tensor(name, gguf.quants.quantize(values, kind), raw_dtype=kind)
        else:
            self.file.add_tensor(name, values.astype(np.float16))

    def filler(self, seed: int, name: str, rows: int, columns: int) -> None:
        """Values within 1/8 of zero that are multiplied and then come to nothing."""
        self.matrix(name, noise(seed, name, rows, columns).astype(np.float32) / np.float32(1024))

    def layer(self, seed: int, number: int) -> None:
        shape, prefix = self.shape, f"blk.{number}."
        width, wide = shape.embedding, shape.feed_forward
        narrow = width // shape.heads * shape.kv_heads
        self.vector(prefix + "attn_norm.weight", width)
        self.filler(seed, prefix + "attn_q.weight", width, width)
        self.filler(seed, prefix + "attn_k.weight", narrow, width)
        self.filler(seed, prefix + "attn_v.weight", narrow, width)
        self.matrix(prefix + "attn_output.weight", np.zeros((width, width), dtype=np.float32))
        self.vector(prefix + "ffn_norm.weight", width)
        self.filler(seed, prefix + "ffn_gate.weight", wide, width)
        self.filler(seed, prefix + "ffn_up.weight", wide, width)
        self.matrix(prefix + "ffn_down.weight", np.zeros((width, wide), dtype=np.float32))

    def close(self) -> None:
        self.file.write_header_to_file()
        self.file.write_kv_data_to_file()
        self.file.write_tensors_to_file()
        self.file.close()


def write(
    out: Path, reply: str = REPLY, name: str = NAME, seed: int = 1, endless: bool = False, size: str = "tiny"
) -> None:
    """Write the model to `out`.

    `name` becomes `general.name`; an `endless` model repeats its reply for ever (for tests of draining).
    Raises ValueError for a reply that cannot be learnt in this size, OSError when `out` cannot be written.
    """
    shape = SHAPES[size]
    words = vocabulary(reply)
    table = embeddings(seed, words, shape.embedding)
    lookup = output(table, words, endless)
    writer = Writer(out, shape)
    writer.metadata(name)
    writer.tokenizer(words)
    writer.matrix("token_embd.weight", table)
    writer.vector("output_norm.weight", shape.embedding)
    writer.matrix("output.weight", lookup)
    for number in range(shape.layers):
        writer.layer(seed, number)
    writer.close()


def main(arguments: Sequence[str] | None = None) -> None:
    """Write one model and print its digest in the format of sha256sum."""
    parser = argparse.ArgumentParser(description="Write a hand-made GGUF test model that knows one sentence.")
    parser.add_argument("out", type=Path)
    parser.add_argument("--reply", default=REPLY, help="what it always says")
    parser.add_argument("--name", default=NAME, help="general.name in the file")
    parser.add_argument("--seed", type=int, default=1, help="another seed, other bytes")
    parser.add_argument("--endless", action="store_true", help="repeat the reply for ever")
    parser.add_argument("--size", choices=SHAPES, default="tiny")
    given = parser.parse_args(arguments)
    try:
        write(given.out, given.reply, given.name, given.seed, given.endless, given.size)
    except ValueError as error:
        parser.error(str(error))
    with given.out.open("rb") as file:
        print(f"{hashlib.file_digest(file, 'sha256').hexdigest()}  {given.out}")


if __name__ == "__main__":
    main()
