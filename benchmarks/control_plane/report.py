"""What the measures mean, the goals, and the page that tells them."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from benchmarks.control_plane.scenarios import Outcome

PAGE = Path("docs/benchmarks.md")
BEGIN = "<!-- control plane: written by `make bench-control-plane` -->\n"
END = "<!-- end of control plane -->\n"


@dataclass(frozen=True)
class Row:
    """One line of a table: the measure, what it is, and its unit with the factor that leads to it."""

    measure: str
    text: str
    unit: str = ""
    factor: float = 1.0
    digits: int = 1


MS, PERCENT = ("ms", 1000.0, 0), ("% of a core", 100.0, 2)

REST = (
    Row("rest.deployment.p50", "apply → Deployment, p50", *MS),
    Row("rest.deployment.p99", "apply → Deployment, p99", *MS),
    Row("rest.service.p50", "Service deleted → back, p50", *MS),
    Row("rest.service.p99", "Service deleted → back, p99", *MS),
    Row("rest.pod.p50", "pod's status → condition of the model, p50", *MS),
    Row("rest.pod.p99", "pod's status → condition of the model, p99", *MS),
)
BURST = (
    Row("burst.seconds", "all children and statuses are there", "s"),
    Row("burst.deployment.p50", "apply → Deployment, p50", "s"),
    Row("burst.deployment.p99", "apply → Deployment, p99", "s"),
    Row("burst.cpu", "CPU of the burst", "s"),
    Row("burst.servers_cpu", "CPU of kube-apiserver meanwhile", "s"),
    Row("burst.writes", "writes per new model", digits=2),
    Row("burst.reads", "reads per new model (with lists)", digits=2),
    Row("burst.rss", "memory after it (RSS)", "MiB"),
    Row("burst.peak", "memory, peak", "MiB"),
    Row("idle.writes", "writes per minute at rest"),
    Row("idle.reads", "reads per minute at rest"),
    Row("idle.cpu", "CPU at rest", *PERCENT),
    Row("restart.seconds", "restart → nothing left to do", "s"),
    Row("restart.cpu", "CPU of the restart", "s"),
    Row("restart.writes", "writes of the restart", digits=0),
    Row("restart.reads", "reads of the restart", digits=0),
    Row("restart.rss", "memory after the restart (RSS)", "MiB"),
    Row("restart.peak", "memory, peak", "MiB"),
    Row("after.writes", "writes in the minute after the restart"),
    Row("after.cpu", "CPU in the minute after the restart (ours lists everything twice more)", *PERCENT),
)
LEADER = (
    Row("leader.told.seconds", "SIGTERM of the leader → next Deployment", "s"),
    Row("leader.told.writes", "writes of the change, beside the new model's", digits=0),
    Row("leader.told.cpu", "CPU of the successor until it has nothing left to do", "s"),
    Row("leader.killed.seconds", "SIGKILL of the leader → next Deployment", "s"),
    Row("leader.killed.writes", "writes of the change, beside the new model's", digits=0),
    Row("leader.killed.cpu", "CPU of the successor until it has nothing left to do", "s"),
)

Table = Mapping[str, list[Outcome]]
"""The outcomes of all runs by side."""


@dataclass(frozen=True)
class Goal:
    """`value` is None where nothing was measured."""

    text: str
    value: float | None
    limit: float
    unit: str

    def line(self) -> str:
        if self.value is None:
            return f"| {self.text} | ≤ {self.limit:g} {self.unit} | not measured | |"
        verdict = "met" if self.value <= self.limit else "**missed**"
        return f"| {self.text} | ≤ {self.limit:g} {self.unit} | {self.value:.3g} {self.unit} | {verdict} |"


def median(outcomes: list[Outcome], measure: str) -> float:
    return statistics.median(outcome.measures[measure] for outcome in outcomes)


def table(rows: Iterable[Row], sides: Table) -> str:
    """Medians, with the least and the most where there were several runs."""
    lines = [f"| | {' | '.join(sides)} |", "|---|" + "---|" * len(sides)]
    for row in rows:
        cells = [_cell(row, outcomes) for outcomes in sides.values()]
        lines.append(f"| {row.text} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _cell(row: Row, outcomes: list[Outcome]) -> str:
    values = [outcome.measures[row.measure] * row.factor for outcome in outcomes if row.measure in outcome.measures]
    if not values:
        return ""
    told = f"{statistics.median(values):.{row.digits}f} {row.unit}".strip()
    return told + (f" ({min(values):.{row.digits}f} to {max(values):.{row.digits}f})" if len(values) > 1 else "")


def calls(models: int, sides: Table) -> str:
    """Requests per new model, by verb and kind: medians."""
    kinds = sorted({call for outcomes in sides.values() for outcome in outcomes for call in outcome.calls})
    lines = [f"| request | {' | '.join(sides)} |", "|---|" + "---|" * len(sides)]
    for verb, kind in kinds:
        counts = [statistics.median(o.calls[verb, kind] for o in outcomes) / models for outcomes in sides.values()]
        lines.append(f"| {verb} {kind} | {' | '.join(f'{count:.3f}' for count in counts)} |")
    return "\n".join(lines)


def goals(found: Iterable[Goal]) -> str:
    return "\n".join(["| goal | | measured | |", "|---|---|---|---|", *(goal.line() for goal in found)])


def write(text: str) -> None:
    """Put the text between the two marks of the page. Raises ValueError when a mark is missing."""
    old = PAGE.read_text()
    head, tail = old.index(BEGIN) + len(BEGIN), old.index(END)
    PAGE.write_text(old[:head] + text + old[tail:])
