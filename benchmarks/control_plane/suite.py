"""All scenarios, the sides in turn, as often as asked; and the page about what came out."""

from __future__ import annotations

import os
import platform
import subprocess
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from benchmarks.control_plane import report, scenarios
from benchmarks.control_plane.process import OURS, REFERENCE
from benchmarks.control_plane.report import Goal, median
from benchmarks.control_plane.scenarios import Outcome
from ground import binaries, shell

Outcomes = dict[str, list[Outcome]]
"""Of all runs, by side, in the order of the columns."""


@dataclass
class Results:
    rest: Outcomes = field(default_factory=lambda: defaultdict(list))
    bursts: dict[int, Outcomes] = field(default_factory=lambda: defaultdict(lambda: defaultdict(list)))
    """By number of models."""
    leader: Outcomes = field(default_factory=lambda: defaultdict(list))
    load: float = field(default_factory=lambda: os.getloadavg()[0])
    """How busy the machine was when it began: processes that run or want to."""


async def measure(sizes: Sequence[int], *, runs: int, samples: int, idle_seconds: float) -> Results:
    """`samples`: changes at rest, of each sort. `idle_seconds`: for which nothing is done, to see who stays quiet.

    Sizes above the least are measured in the first run only.
    """
    results = Results()
    for run in range(1, runs + 1):
        for side in (OURS, REFERENCE):
            with shell.step(f"run {run}: at rest, {side.name}"):
                results.rest[side.name].append(await scenarios.at_rest(side, samples))
        for size in sizes if run == 1 else [min(sizes)]:
            for side in (OURS, REFERENCE):
                with shell.step(f"run {run}: burst of {size}, {side.name}"):
                    results.bursts[size][side.name].append(await scenarios.burst(side, size, idle_seconds))
        with shell.step(f"run {run}: change of the leader of {min(sizes)} models"):
            results.leader[OURS.name].append(await scenarios.change_of_leader(OURS, min(sizes)))
    return results


def page(results: Results) -> str:
    """Goals first, then the tables."""
    size = min(results.bursts)
    parts = [_where(results), "### Goals", report.goals(_goals(results, size))]
    parts += ["### At rest, one change at a time", report.table(report.REST, results.rest)]
    for models, outcomes in results.bursts.items():
        parts += [f"### {models:,} models at once, with all children", report.table(report.BURST, outcomes)]
        parts += [f"Requests per new model, {models:,} at once:", report.calls(models, outcomes)]
    parts += [f"### Change of the leader, {size:,} models", report.table(report.LEADER, results.leader)]
    return "\n\n".join(parts) + "\n"


def _goals(results: Results, size: int) -> list[Goal]:
    """Measured as installed; the reference has no limit to its calls."""
    rest, burst = results.rest[OURS.name], results.bursts[size]
    ours, reference = burst[OURS.name], median(burst[REFERENCE.name], "burst.seconds")
    at_rest = median(ours, "idle.cpu") + median(ours, "after.cpu") / 10  # that minute has two lists, ten have one
    return [
        Goal("apply → Deployment at rest, p50", median(rest, "rest.deployment.p50") * 1000, 30, "ms"),
        Goal("Service deleted → back at rest, p50", median(rest, "rest.service.p50") * 1000, 100, "ms"),
        Goal(f"burst of {size:,}, of the reference's time", median(ours, "burst.seconds") / reference, 0.5, "times"),
        Goal(f"memory after a burst of {size:,}", median(ours, "burst.rss"), 100, "MiB"),
        Goal(f"memory after a restart with {size:,}", median(ours, "restart.rss"), 100, "MiB"),
        Goal("CPU at rest, with a full list every ten minutes", at_rest * 100, 0.5, "% of a core"),
        Goal("writes per minute at rest", median(ours, "idle.writes"), 0, ""),
        Goal("writes of a restart", median(ours, "restart.writes"), 0, ""),
    ]


def _where(results: Results) -> str:
    cpu = [line.partition(":")[2].strip() for line in Path("/proc/cpuinfo").read_text().splitlines() if "name" in line]
    commit = subprocess.run(["git", "describe", "--always", "--dirty"], capture_output=True, text=True, check=True)
    runs = len(results.rest[OURS.name])
    return (
        f"{datetime.now(UTC):%Y-%m-%d}, {commit.stdout.strip()}; "
        f"{f'medians of {runs} runs (least to most)' if runs > 1 else 'one run'}. "
        f"{os.cpu_count()} cores ({cpu[0]}) shared by etcd, kube-apiserver {binaries.version('kube')}, the benchmark "
        f"and the operator; load when it began: {results.load:.1f}. "
        f"Python {platform.python_version()}, kopf {version('kopf')}."
    )
