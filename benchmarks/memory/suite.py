"""All shapes in turn, predicted and measured; and the page about what came out."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.memory import checkpoints, shapes
from benchmarks.memory.server import Taken, taken
from benchmarks.memory.shapes import Model
from llama_operator.api.staging import Engine, Memory
from llama_operator.stage.memory.estimate import estimate
from llama_operator.stage.verify import structure

_MIB = 1 << 20


@dataclass(frozen=True)
class Case:
    model: Model
    context: int = 4096
    slots: int = 1
    kind: str = "f16"
    batch: int = 512

    @property
    def flags(self) -> list[str]:
        """As the operator gives them: the context of all slots together."""
        words = ["--ctx-size", str(self.context * self.slots), "--parallel", str(self.slots)]
        return [*words, "-ctk", self.kind, "-ctv", self.kind, "--ubatch-size", str(self.batch)]

    @property
    def engine(self) -> Engine:
        return Engine(self.context, self.slots, self.batch, self.kind, self.kind)


CASES = (
    Case(shapes.LLAMA_1B),
    Case(shapes.LLAMA_1B, context=32768),
    Case(shapes.LLAMA_1B, context=32768, kind="q8_0"),
    Case(shapes.LLAMA_1B, context=8192, slots=4, kind="q4_0"),
    Case(shapes.LLAMA_8B, context=8192),
    Case(shapes.QWEN2_05B),
    Case(shapes.QWEN2_05B, slots=8, batch=256),
    Case(shapes.QWEN3_06B, context=16384),
    Case(shapes.QWEN3_4B, context=8192, kind="q8_0"),
    Case(shapes.GEMMA3_1B),
    Case(shapes.GEMMA3_1B, context=32768),
    Case(shapes.GEMMA3_4B, context=8192, slots=2),
    Case(shapes.GPT_OSS, context=16384),
    Case(shapes.QWEN3_MOE, context=16384),
    Case(shapes.DEEPSEEK, context=32768),
    Case(shapes.LFM2, slots=4),
    Case(shapes.MAMBA2, slots=4),
)


@dataclass(frozen=True)
class Row:
    case: Case
    predicted: Memory
    measured: Taken

    @property
    def error(self) -> float:
        """Of the total: above 0 where too much was predicted."""
        return self.predicted.total / _MIB / self.measured.total - 1


def measure(server: Path, folder: Path, cases: Sequence[Case] = CASES) -> list[Row]:
    """One model at a time lies in `folder`."""
    return [_row(server, folder, case) for case in cases]


def _row(server: Path, folder: Path, case: Case) -> Row:
    with shapes.laid_out(case.model, folder) as path:
        predicted = estimate({"model": [structure(path)[0]]}, case.engine)
        return Row(case, predicted, taken(server, path, case.flags))


def page(server: Path, rows: Sequence[Row], kept: Sequence[checkpoints.Row]) -> str:
    worst = max(rows, key=lambda row: abs(row.error))
    version = subprocess.run([server, "--version"], capture_output=True, text=True, check=True)
    told = next(line for line in (version.stdout + version.stderr).splitlines() if line.startswith("version"))
    return "\n".join(
        [
            f"{datetime.now(UTC):%Y-%m-%d}, llama-server {told}. MiB, predicted / measured.",
            "",
            "| model | tokens x slots | keys, values | weights | cache | compute | total | error |",
            "|---|---|---|---|---|---|---|---|",
            *(_line(row) for row in rows),
            "",
            f"The largest error is that of {worst.case.model.name}: {worst.error:+.1%}.",
            "",
            f"Checkpoints, {checkpoints.EACH} for each slot; MiB, predicted / measured.",
            "",
            *checkpoints.table(kept),
            "",
        ]
    )


def _line(row: Row) -> str:
    case, predicted, measured = row.case, row.predicted, row.measured
    pairs = [
        (predicted.weights, measured.weights),
        (predicted.kv_cache, measured.cache),
        (predicted.compute, measured.compute),
        (predicted.total, measured.total),
    ]
    shown = [f"{one / _MIB:.0f} / {other:.0f}" for one, other in pairs]
    batch = "" if case.batch == Engine(1).batch else f", batch of {case.batch}"
    cells = [case.model.name, f"{case.context} x {case.slots}{batch}", case.kind, *shown, f"{row.error:+.1%}"]
    return f"| {' | '.join(cells)} |"
