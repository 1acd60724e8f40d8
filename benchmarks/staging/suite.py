"""All lines, all sides in turn; and the page about what came out."""

from __future__ import annotations

import os
import platform
import shutil
import statistics
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.staging import sides
from benchmarks.staging.place import Place, make_certificate, make_file, served
from benchmarks.staging.sides import CURL, OURS, SIDES, Cost


@dataclass(frozen=True)
class Line:
    text: str
    tls: bool = False
    delay_ms: int = 0


PLAIN = Line("plain HTTP, no delay")
TLS = Line("TLS, no delay", tls=True)
FAR = Line("plain HTTP, 20 ms each way", delay_ms=20)
FAR_TLS = Line("TLS, 20 ms each way", tls=True, delay_ms=20)
LINES = (PLAIN, TLS, FAR, FAR_TLS)


@dataclass
class Results:
    mib: int
    costs: dict[Line, dict[str, list[Cost]]] = field(default_factory=dict)
    refetched: dict[Line, float | None] = field(default_factory=dict)
    """After a kill: MiB that the server handed to its kernel twice. None where it was over before."""
    load: float = field(default_factory=lambda: os.getloadavg()[0])


def measure(mib: int, runs: int, folder: Path, lines: Sequence[Line]) -> Results:
    """`folder` is where everything is written: one in memory, unless the disk is to be measured."""
    results = Results(mib)
    chosen = [side for side in SIDES if sides.available(side)]
    with _scratch(folder) as place:
        make_certificate(place)
        sha256 = make_file(place / "file", mib)
        for line in lines:
            with served(place, sha256, tls=line.tls, delay_ms=line.delay_ms) as there:
                costs = results.costs[line] = {side: [] for side in chosen}
                for _ in range(runs):
                    for side in chosen:
                        with _scratch(folder) as target:
                            costs[side].append(sides.measure(side, there.target, target))
                results.refetched[line] = _refetched(there, mib, folder)
    return results


def _refetched(there: Place, mib: int, folder: Path) -> float | None:
    """Kill our side in the middle, and let another one finish."""
    with _scratch(folder) as target:
        before = there.sent()
        process = sides.start(OURS, there.target, target)
        while there.sent() - before < mib * (1 << 20) // 2 and process.poll() is None:
            time.sleep(0.001)
        process.kill()
        process.communicate()
        if process.returncode == 0:
            return None
        sides.measure(OURS, there.target, target)
        return (there.sent() - before) / (1 << 20) - mib


def page(results: Results, runs: int) -> str:
    parts = [_where(results, runs)]
    for line, costs in results.costs.items():
        parts += [f"### {results.mib} MiB, {line.text}", _table(results, line, costs)]
    return "\n\n".join(parts) + "\n"


def _table(results: Results, line: Line, costs: dict[str, list[Cost]]) -> str:
    curl = _median(costs[CURL], "seconds")
    lines = [
        "| | seconds (least to most) | of curl's speed | CPU s per GiB | peak MiB |",
        "|---|---|---|---|---|",
    ]
    for side, found in costs.items():
        seconds, all_seconds = _median(found, "seconds"), [cost.seconds for cost in found]
        spread = f"{seconds:.2f} ({min(all_seconds):.2f} to {max(all_seconds):.2f})"
        cpu = _median(found, "cpu") * 1024 / results.mib
        lines.append(f"| {side} | {spread} | {curl / seconds:.2f} | {cpu:.2f} | {_median(found, 'rss'):.0f} |")
    work, refetched = _median(costs[OURS], "work"), results.refetched[line]
    told = f"{curl / work:.2f} of curl's speed without the start of Python ({work:.2f} s)."
    again = "" if refetched is None else f"After a kill in the middle {refetched:.1f} MiB were sent again."
    return "\n".join([*lines, "", f"llama-operator: {told} {again}"])


def _median(costs: list[Cost], what: str) -> float:
    values: list[float] = [getattr(cost, what) for cost in costs]
    return statistics.median(values)


def _where(results: Results, runs: int) -> str:
    cpu = [line.partition(":")[2].strip() for line in Path("/proc/cpuinfo").read_text().splitlines() if "name" in line]
    commit = subprocess.run(["git", "describe", "--always", "--dirty"], capture_output=True, text=True, check=True)
    return (
        f"{datetime.now(UTC):%Y-%m-%d}, {commit.stdout.strip()}; "
        f"{f'medians of {runs} runs, the sides in turn' if runs > 1 else 'one run'}. "
        f"{os.cpu_count()} cores ({cpu[0]}) shared by client, server and line; load when it began: {results.load:.1f}. "
        f"Python {platform.python_version()}, Linux {platform.release()}."
    )


@contextmanager
def _scratch(folder: Path) -> Iterator[Path]:
    made = Path(tempfile.mkdtemp(prefix="bench-stage-", dir=folder))
    try:
        yield made
    finally:
        shutil.rmtree(made)
