"""What checkpoints of the context take: the same talks with a server that keeps them and with one that keeps none."""

from __future__ import annotations

import json
import re
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from benchmarks.memory import shapes
from benchmarks.memory.server import running
from benchmarks.memory.shapes import Model
from llama_operator.api import engine
from llama_operator.api.staging import Engine, Memory
from llama_operator.stage.memory.estimate import estimate
from llama_operator.stage.verify import structure

EACH = engine.Engine().context_checkpoints
"""As many of each slot as the operator lets llama-server keep."""
BATCH = 32
"""Tokens at a time: one checkpoint is a batch before the end of a prompt, so prompts have to be longer than that."""
_MIB = 1 << 20
_CREATED = re.compile(r"created context checkpoint .* size = ([\d.]+) MiB")


@dataclass(frozen=True)
class Case:
    model: Model
    slots: int
    context: int = 4096

    @property
    def flags(self) -> list[str]:
        words = ["--ctx-size", str(self.context * self.slots), "--parallel", str(self.slots)]
        return [*words, "--ubatch-size", str(BATCH)]


# What a checkpoint does not hold is made small, for here models have to compute.
GEMMA3_1B = replace(shapes.GEMMA3_1B, feed_forward=64, vocabulary=1000)
GPT_OSS = replace(shapes.GPT_OSS, name="gpt-oss, 6 layers", layers=6, vocabulary=1000, experts=(4, 2, 64))
MAMBA2 = replace(shapes.MAMBA2, name="Mamba 2 2.7B, 8 layers", layers=8, vocabulary=1000)
CASES = (Case(GEMMA3_1B, slots=1), Case(GEMMA3_1B, slots=3), Case(GPT_OSS, slots=2), Case(MAMBA2, slots=2))


@dataclass(frozen=True)
class Row:
    """`largest` is that of one checkpoint, `measured` what all slots take for theirs, in MiB; `made` how many."""

    case: Case
    predicted: Memory
    made: int
    largest: float
    measured: float


def measure(server: Path, folder: Path, cases: Sequence[Case] = CASES) -> list[Row]:
    """One model at a time lies in `folder`."""
    return [_row(server, folder, case) for case in cases]


def _row(server: Path, folder: Path, case: Case) -> Row:
    asked = Engine(case.context, case.slots, BATCH, checkpoints=EACH)
    with shapes.laid_out(case.model, folder) as path:
        predicted = estimate({"model": [structure(path)[0]]}, asked)
        without, _ = _after_talks(server, path, case, 0)
        resident, created = _after_talks(server, path, case, EACH)
    return Row(case, predicted, len(created), max(created), resident - without)


def _after_talks(server: Path, path: Path, case: Case, checkpoints: int) -> tuple[float, list[float]]:
    """What is resident then, and the sizes of the checkpoints that were made, in MiB."""
    with running(server, path, [*case.flags, "--ctx-checkpoints", str(checkpoints)]) as one:
        for slot in range(case.slots):
            _talk(one.url, slot, case.model.window)
        return one.resident, [float(size) for size in _CREATED.findall(one.log.read_text())]


def _talk(url: str, slot: int, window: int) -> None:
    """Two questions: the first begins after a full window, the second makes checkpoints at its begin, one batch before
    its end and just before it. The tokens of these models are single bytes."""
    said = [{"role": "system", "content": "a" * (window + 2 * BATCH)}]
    for _ in range(2):
        said.append({"role": "user", "content": "b" * 2 * BATCH})
        body = json.dumps({"messages": said, "max_tokens": 1, "id_slot": slot}).encode()
        request = urllib.request.Request(f"{url}/v1/chat/completions", body, {"Content-Type": "application/json"})
        urllib.request.urlopen(request, timeout=1200).read()
        said.append({"role": "assistant", "content": "c"})


def table(rows: Sequence[Row]) -> list[str]:
    head = ["| model | tokens x slots | one checkpoint | all, at most | error |", "|---|---|---|---|---|"]
    return [*head, *(_line(row) for row in rows)]


def _line(row: Row) -> str:
    case, predicted = row.case, row.predicted.checkpoints / _MIB
    one = predicted / EACH / case.slots
    cells = [
        case.model.name,
        f"{case.context} x {case.slots}",
        f"{one:.2f} / {row.largest:.2f}",
        f"{predicted:.0f} / {row.measured:.0f}",
        f"{predicted / row.measured - 1:+.1%}",
    ]
    return f"| {' | '.join(cells)} |"
