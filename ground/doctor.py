"""Say what is here, what is missing, and which way `up` would take."""

import os
import platform
import shutil
from pathlib import Path

from ground import choose, debian, paths, shell, up

COLD_GIB = 12
"""Free disk that a first `up` from packages needs: Go's caches while building, root file systems, images."""

MEMORY_GIB = 4
"""Memory that a first build needs for the largest link step; the cluster itself takes about 1."""

TOOLS = {
    "docker": "not on PATH",
    "go": "not on PATH",
    "kind": "not on PATH; built when needed",
    "kubectl": "not on PATH; built, or taken from the node image, when needed",
    "helm": "not on PATH; built when needed",
    "mmdebstrap": "not on PATH; installed by apt when needed",
    "buildah": "not on PATH; installed by apt when needed",
}
"""The programs that `up` uses, and what it does where one is not there."""


def report() -> None:
    """Print it; nothing is changed."""
    seen = choose.facts()
    choice = choose.choose(seen)
    print(f"machine       {platform.system()} {platform.machine()}, {os.cpu_count()} CPUs, {_memory():.0f} GiB memory")
    print(f"root          {_word(seen.root)}")
    print(f"Docker        {'an engine answers' if seen.docker else 'no engine answers'}")
    if seen.docker and not seen.own_node_image:
        print(f"registry      {'answers' if seen.registry else 'does not answer'} ({choose.REGISTRY})")
    for tool, otherwise in TOOLS.items():
        print(f"{tool:<13} {shutil.which(tool) or otherwise}")
    print(f"Debian keys   {_word(Path(debian.KEYRING).exists())}")
    print(f"cache         {paths.CACHE} ({_free(paths.CACHE):.0f} GiB free)")
    print(f"cluster       {_cluster()}")
    print(f"way           {choice.way.value}, because {choice.why}")
    found = problems(choice, _free(paths.CACHE), _memory())
    for problem in found:
        print(f"problem       {problem}")
    if not found:
        print("missing       nothing: `make cluster` can start")


def problems(choice: choose.Choice, free_gib: float, memory_gib: float) -> list[str]:
    """What stands in the way of `up`, in words."""
    found = [choice.obstacle] if choice.obstacle else []
    if choice.way is choose.Way.PACKAGES:
        if free_gib < COLD_GIB:
            found.append(f"a first `up` needs {COLD_GIB} GiB of disk, {free_gib:.0f} are free")
        if memory_gib < MEMORY_GIB:
            found.append(f"building Kubernetes needs {MEMORY_GIB} GiB of memory")
        if shutil.which("go") is None:
            found.append("no Go to build Kubernetes with")
    return found


def _cluster() -> str:
    try:
        return "up" if up.current().ready() else "there, but its API server does not answer"
    except shell.GroundError:
        return "none"


def _word(there: bool) -> str:
    return "yes" if there else "no"


def _free(path: Path) -> float:
    existing = next(folder for folder in (path, *path.parents) if folder.exists())
    return shutil.disk_usage(existing).free / 2**30


def _memory() -> float:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
