"""The page that tells what was measured. Ratios are of the two requests of one round, then their median."""

from __future__ import annotations

import os
import platform
import statistics
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.engine.routes import DIRECT, INGRESS, SERVICE, Taken
from benchmarks.engine.speed import DEFAULT, OPERATORS, Speed, Work
from benchmarks.engine.start import STEPS, Start
from benchmarks.engine.suite import BY_HAND, Results
from benchmarks.engine.trees import DEBIANS, OURS

PAGE = Path("docs/benchmarks-engine.md")
BEGIN, END = "<!-- engine: written by `make bench-engine` -->\n", "<!-- end of engine -->\n"
GOAL_SECONDS = 2.0
"""For what Kubernetes and the operator add to the engine's own start."""


def page(results: Results) -> str:
    parts = [_where(results)]
    parts += [f"### Engines, {results.plan.size} model, one thread", _engines(results)]
    parts += [f"### {OURS.capitalize()} under a CPU quota", _quotas(results)]
    if results.routes:
        parts += ["### Ways to the server", _routes(results.routes, results.plan.routes)]
        parts += ["### Start", _starts(results.starts, results.bare)]
    return "\n\n".join([*parts, "### Sizes", _sizes(results)]) + "\n"


def write(text: str, target: Path = PAGE) -> None:
    """Put the text between the page's marks."""
    old = target.read_text()
    head, tail = old.index(BEGIN) + len(BEGIN), old.index(END)
    target.write_text(old[:head] + text + old[tail:])


def spread(values: Iterable[float], digits: int = 2) -> str:
    """Median (least to most)."""
    found = sorted(values)
    return f"{statistics.median(found):.{digits}f} ({found[0]:.{digits}f} to {found[-1]:.{digits}f})"


def ratios(ours: Sequence[float], theirs: Sequence[float]) -> str:
    return spread(mine / other for mine, other in zip(ours, theirs, strict=True))


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _engines(results: Results) -> str:
    ours, theirs, work = results.engines[OURS], results.engines[DEBIANS], results.plan.engines
    rows = [[f"{name}, {results.versions[name]}", *_rates(speeds)] for name, speeds in results.engines.items()]
    rows.append(["**ours / Debian's**", *_speed_ratios(ours, theirs)])
    return _table(_head(work), rows)


def _quotas(results: Results) -> str:
    rows: list[list[str]] = []
    for cores, sides in results.quotas.items():
        rows += [[f"{cores:g} cores: {name}", *_rates(speeds)] for name, speeds in sides.items()]
        rows.append([f"**{cores:g} cores: operator's / default**", *_speed_ratios(sides[OPERATORS], sides[DEFAULT])])
    return _table(_head(results.plan.quota), rows)


def _head(work: Work) -> list[str]:
    return ["tokens per second", f"prompt of {work.prompt}", f"answer of {work.tokens}"]


def _rates(speeds: Sequence[Speed]) -> list[str]:
    return [spread((s.prompt for s in speeds), 1), spread((s.generation for s in speeds), 1)]


def _speed_ratios(ours: Sequence[Speed], theirs: Sequence[Speed]) -> list[str]:
    return [
        ratios([s.prompt for s in ours], [s.prompt for s in theirs]),
        ratios([s.generation for s in ours], [s.generation for s in theirs]),
    ]


def _routes(routes: Mapping[str, Sequence[Taken]], work: Work) -> str:
    direct = routes[DIRECT]
    rows = []
    for name in (DIRECT, SERVICE, INGRESS):
        taken = routes[name]
        more = spread(((a.first - b.first) * 1000 for a, b in zip(taken, direct, strict=True)), 1)
        rate = ratios([a.rate for a in taken], [b.rate for b in direct])
        first, rates = spread((a.first * 1000 for a in taken), 1), spread((a.rate for a in taken), 1)
        rows.append([name, first, "" if taken is direct else more, rates, "" if taken is direct else rate])
    head = [f"{work.prompt} tokens in, {work.tokens} out", "first token, ms", "more than direct, ms"]
    return _table([*head, "tokens per second", "of direct"], rows)


def _starts(starts: Mapping[str, Sequence[Start]], bare: Sequence[float]) -> str:
    seconds = {side: [start.seconds for start in found] for side, found in starts.items()}
    over = {side: _less(each, bare) for side, each in seconds.items()}
    ours = [side for side in starts if side != BY_HAND]
    verdicts = {side: f", {_verdict(over[side])}" for side in ours}
    more = {side: spread(_less(seconds[side], seconds[BY_HAND])) for side in ours}
    rows = [
        ["`kubectl apply` → first token", *(spread(each) for each in seconds.values())],
        ["the bare engine, start → first token", *(spread(bare) for _ in starts)],
        [
            f"**added (goal: ≤ {GOAL_SECONDS:g} s)**",
            *(spread(each) + verdicts.get(side, "") for side, each in over.items()),
        ],
        ["**more than the Deployment by hand**", *(more.get(side, "") for side in starts)],
    ]
    parts = [[start.parts() for start in found] for found in starts.values()]
    before = "apply"
    for step in STEPS:
        told = [spread(part[step] for part in each) if step in each[0] else "" for each in parts]
        rows.append([f"{before} → {step}", *told])
        before = step
    return _table(["seconds", *starts], rows)


def _less(these: Sequence[float], those: Sequence[float]) -> list[float]:
    return [one - other for one, other in zip(these, those, strict=True)]


def _verdict(over: Sequence[float]) -> str:
    return "met" if statistics.median(over) <= GOAL_SECONDS else "**missed**"


def _sizes(results: Results) -> str:
    mib = 1 << 20
    rows = [[name, f"{s.plain / mib:.1f}", f"{s.compressed / mib:.1f}"] for name, s in results.sizes.items()]
    return _table(["MiB", "unpacked", "gzip"], rows)


def _where(results: Results) -> str:
    cpu = [line.partition(":")[2].strip() for line in Path("/proc/cpuinfo").read_text().splitlines() if "name" in line]
    commit = subprocess.run(["git", "describe", "--always", "--dirty"], capture_output=True, text=True, check=True)
    began, ended = results.loads[0], results.loads[-1]
    return (
        f"{datetime.now(UTC):%Y-%m-%d}, {commit.stdout.strip()}; medians of {results.plan.rounds} rounds "
        f"({results.plan.starts} starts), least to most, the sides in turn. "
        f"{os.cpu_count()} cores ({cpu[0]}) shared by cluster, servers and client; "
        f"load of the machine when it began: {began:.1f}, when it ended: {ended:.1f}. Linux {platform.release()}."
    )
