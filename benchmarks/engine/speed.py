"""Tokens per second of servers that take turns: what a slow minute does to one, it does to the other, too."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from benchmarks.engine import quota
from benchmarks.engine.server import Server, running
from benchmarks.engine.trees import Engine
from llama_operator.api.types import parse
from llama_operator.resources import arguments as builder


@dataclass(frozen=True)
class Work:
    """One request: tokens of the prompt, and tokens of the answer."""

    prompt: int
    tokens: int


@dataclass(frozen=True)
class Speed:
    """Tokens per second, as llama-server tells them."""

    prompt: float
    generation: float


def engines(sides: Sequence[Engine], work: Work, rounds: int) -> dict[str, list[Speed]]:
    """Each engine with one thread: a second one, on a machine of two cores, would measure its neighbours."""
    with ExitStack() as stack:
        servers = {side.name: stack.enter_context(running(side, ["--threads", "1"])) for side in sides}
        return in_turn(servers, work, rounds)


def under_quota(engine: Engine, cores: float, work: Work, rounds: int) -> dict[str, list[Speed]]:
    """The same engine held to so many cores: with the threads that the operator chooses, and with its own."""
    with _limited(engine, cores, ["--threads", threads(cores)]) as ours, _limited(engine, cores, []) as its:
        return in_turn({OPERATORS: ours, DEFAULT: its}, work, rounds)


OPERATORS, DEFAULT = "the operator's --threads", "llama-server's default"


def threads(cores: float) -> str:
    """What the operator gives a model with this CPU limit."""
    spec = {
        "source": {"volume": {"claimName": "models", "path": "model.gguf"}},
        "resources": {"limits": {"cpu": str(cores)}},
    }
    words = builder.arguments(parse({"metadata": {"name": "m", "namespace": "n", "uid": "u"}, "spec": spec}))
    return words[words.index("--threads") + 1]


def in_turn(servers: Mapping[str, Server], work: Work, rounds: int) -> dict[str, list[Speed]]:
    """One request to each, again and again; every other round backwards. The first one warms up and does not count."""
    found: dict[str, list[Speed]] = {name: [] for name in servers}
    for number in range(rounds + 1):
        for name in list(servers)[:: 1 if number % 2 else -1]:
            told = servers[name].ask(work.prompt, work.tokens)
            if number:
                found[name].append(Speed(told["prompt_per_second"], told["predicted_per_second"]))
    return found


@contextmanager
def _limited(engine: Engine, cores: float, words: Sequence[str]) -> Iterator[Server]:
    with quota.cores(cores) as group, running(engine, words, group) as server:
        yield server
