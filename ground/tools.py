"""The programs people and tests call: kind, kubectl and helm, in .ground/bin under the names people type."""

import re
import shutil
from collections.abc import Mapping
from pathlib import Path

from ground import binaries, paths, shell
from ground.choose import Way

OLDEST_KIND = (0, 30)
"""The first kind whose default node image is Kubernetes 1.34."""


def ensure(way: Way) -> dict[str, Path]:
    """Have kind, helm and (without Docker's node image to take it from) kubectl; build what is not there.

    Returns what was built. With Docker the user's own programs are taken, where they are new enough.
    """
    if way is Way.PACKAGES:
        made = binaries.ensure(*binaries.CLUSTER)  # all at once: Go's caches may be gone afterwards
        _link({"kind": made["kind"], "helm": made["helm"], "kubectl": made["kube"]})
        return made
    own = {name: Path(found) for name in ("kind", "helm", "kubectl") if (found := shutil.which(name))}
    if "kind" in own and kind_version(shell.output([own["kind"], "version"])) < OLDEST_KIND:
        del own["kind"]
    made = binaries.ensure(*(name for name in ("kind", "helm") if name not in own))
    _link({**own, **made})
    return made


def ensure_kind() -> None:
    """Have kind, which takes a cluster away. The one that made it may be gone: checkouts share a cache, which keeps the
    newest build."""
    if not (paths.BIN / "kind").exists():
        _link(binaries.ensure("kind"))


def kind_version(text: str) -> tuple[int, int]:
    """Major and minor version in what `kind version` prints; (0, 0) when it prints none."""
    found = re.search(r"\bv(\d+)\.(\d+)\.", text)
    return (int(found[1]), int(found[2])) if found else (0, 0)


def _link(programs: Mapping[str, Path]) -> None:
    paths.BIN.mkdir(parents=True, exist_ok=True)
    for name, program in programs.items():
        link = paths.BIN / name
        if program.resolve() == link.resolve():
            continue  # .ground/bin is on the user's PATH
        link.unlink(missing_ok=True)
        link.symlink_to(program)
