"""All measurements, in an order in which nothing disturbs the next one."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.engine import place, routes, server, sizes, speed, start, trees
from benchmarks.engine.routes import Taken
from benchmarks.engine.sizes import Size
from benchmarks.engine.speed import Speed, Work
from benchmarks.engine.start import Start
from benchmarks.engine.trees import Engine
from ground import images, shell, store
from models import tiny_gguf

QUOTAS = (1.0, 0.5)
IN_PLACE, CACHED, BY_HAND = (
    "model on a volume, served in place",
    "model in a cache",
    "Deployment by hand, file on a volume",
)


@dataclass(frozen=True)
class Plan:
    """How much is measured: `size` names the model that engines are compared with (models.tiny_gguf).

    `smaller` is the one for all else: with too many threads for a quota the large one takes minutes for some tokens.
    """

    size: str
    smaller: str
    engines: Work
    quota: Work
    routes: Work
    rounds: int
    starts: int


FULL = Plan("large", "medium", Work(256, 48), quota=Work(128, 64), routes=Work(32, 64), rounds=7, starts=5)
QUICK = Plan("small", "small", Work(64, 16), quota=Work(8, 4), routes=Work(8, 16), rounds=2, starts=1)


@dataclass
class Results:
    """`bare`: seconds of the engine alone, from its start to its first token; `starts`: of models that are applied."""

    plan: Plan
    versions: dict[str, str] = field(default_factory=dict)
    engines: dict[str, list[Speed]] = field(default_factory=dict)
    quotas: dict[float, dict[str, list[Speed]]] = field(default_factory=dict)
    routes: dict[str, list[Taken]] = field(default_factory=dict)
    bare: list[float] = field(default_factory=list)
    starts: dict[str, list[Start]] = field(default_factory=dict)
    sizes: dict[str, Size] = field(default_factory=dict)
    loads: list[float] = field(default_factory=lambda: [os.getloadavg()[0]])
    """Of the machine, when it began and when it ended."""


def measure(plan: Plan, *, cluster: bool = True) -> Results:
    """Everything; without a cluster neither routes nor starts."""
    results = Results(plan)
    with store.scratch("bench-engine") as folder:
        sides = [trees.ours(folder), trees.debians(folder)]
        results.versions = {side.name: server.version(side) for side in sides}
        _alone(results, sides, folder)
        if cluster:
            _in_cluster(results, sides[0], folder)
        with shell.step("sizes"):
            results.sizes = _sizes(sides, folder)
    results.loads.append(os.getloadavg()[0])
    return results


def _alone(results: Results, sides: Sequence[Engine], folder: Path) -> None:
    plan = results.plan
    with _model(plan.size, sides, folder), shell.step("engines in turn"):
        results.engines = speed.engines(sides, plan.engines, plan.rounds)
    with _model(plan.smaller, sides, folder):
        for cores in QUOTAS:
            with shell.step(f"a quota of {cores:g} cores"):
                results.quotas[cores] = speed.under_quota(sides[0], cores, plan.quota, max(plan.rounds // 2, 1))


def _in_cluster(results: Results, engine: Engine, folder: Path) -> None:
    """The bare engine, the models, and what does without the operator start in turn, too."""
    plan = results.plan
    with _model(plan.smaller, [engine], folder) as model, place.prepared(model) as there:
        with shell.step("routes in turn"):
            results.routes = routes.measure(there, plan.routes, plan.rounds)
        start.of_model(there, "fill-the-cache", cached=True)
        for number in range(plan.starts):
            with (
                shell.step("start the bare engine, two models, and a Deployment by hand"),
                server.running(engine, ["--threads", "1"]) as bare,
            ):
                results.bare.append(bare.answered - bare.begun)
            taken = {
                IN_PLACE: start.of_model(there, f"placed-{number}", cached=False),
                CACHED: start.of_model(there, f"cached-{number}", cached=True),
                BY_HAND: start.of_deployment(there, f"by-hand-{number}"),
            }
            for text, found in taken.items():
                results.starts.setdefault(text, []).append(found)


@contextmanager
def _model(size: str, sides: Sequence[Engine], folder: Path) -> Iterator[Path]:
    """One file, seen in each tree; its answers have no end of their own."""
    path = folder / f"{size}.gguf"
    if not path.exists():
        with shell.step(f"write the {size} model"):
            tiny_gguf.write(path, size=size, endless=True)
    seen = [side.root / server.MODEL.lstrip("/") for side in sides]
    for name in seen:
        name.hardlink_to(path)
    try:
        yield path
    finally:
        for name in seen:
            name.unlink()


def _sizes(sides: Sequence[Engine], folder: Path) -> dict[str, Size]:
    """Whole images, as layers; Debian's package with all that it needs, as one layer; and the engines alone."""
    found = {}
    for name in ("llama-server", "operator"):
        _, archive = images.build(name)
        found[f"image {name}"] = sizes.of(trees.layers(archive, folder / f"layers-{name}"))
    found[f"a minimal Debian with {trees.PACKAGE}"] = sizes.of([trees.debian_root()])
    return found | {f"{side.name}: engine alone": sizes.engine(side) for side in sides}
