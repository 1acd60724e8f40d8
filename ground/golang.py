"""How Go is called: with flags that give the same bytes everywhere, and with caches that do not pile up."""

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ground import paths, shell, store

FLAGS = {"CGO_ENABLED": "0", "GOFLAGS": "-mod=readonly -trimpath -buildvcs=false -modcacherw"}
"""Static binaries without paths of the machine in them; versions as go.mod and go.sum pin them, or an error.

What Go downloads stays writable, so that it can be removed like anything else.
"""


def version(module: Path) -> str:
    """The Go release that builds the module, such as go1.26.4; GOTOOLCHAIN may bring another than the installed.

    Raises GroundError without a Go at all.
    """
    if shutil.which("go") is None:
        raise shell.GroundError("please install Go 1.26 or newer (https://go.dev/dl): the cluster is built from source")
    return shell.output(["go", "env", "GOVERSION"], cwd=module, env=FLAGS).strip()


def required(go_mod: str, module: str) -> str:
    """The version of `module` that the text of a go.mod asks for, replacements aside. KeyError if it does not."""
    for line in go_mod.splitlines():
        words = line.removeprefix("require").split()
        if len(words) >= 2 and words[0] == module and words[1].startswith("v"):
            return words[1]
    raise KeyError(module)


def download(module: str, at: str) -> Path:
    """Have one module in Go's module cache, checked against the checksum database: its folder (read-only)."""
    with store.scratch("download") as folder:
        answer = shell.output(
            ["go", "mod", "download", "-json", f"{module}@{at}"], cwd=folder, env={**FLAGS, **caches()}
        )
    return Path(json.loads(answer)["Dir"])


def build(module: Path, package: str, link: str, target: Path, log: Path) -> None:
    """Build one main package of a module. Raises CommandError with the compiler's words."""
    command: list[str | Path] = ["go", "build", "-ldflags", f"-s -w {link}".strip(), "-o", target, package]
    shell.run(command, cwd=module, env={**FLAGS, **caches()}, log=log)


def caches() -> dict[str, str]:
    """Where compiled packages and modules go while building.

    Compiled packages are 3 GB, which nobody asked for. A person who programs in Go has such a folder already, and
    Go itself drops what it did not use for five days: that one is used. Anybody else gets one in the ground's
    cache, which `tidied` removes. The same holds for the modules' sources.
    """
    own = {"GOCACHE": _home() / "build", "GOMODCACHE": _home() / "mod"}
    settings = json.loads(shell.output(["go", "env", "-json", *own]))
    return {name: str(path) for name, path in own.items() if not Path(settings[name]).is_dir()}


@contextmanager
def tidied() -> Iterator[None]:
    """Remove the ground's own Go caches once everything is built; a failure leaves them, so the next try is short."""
    yield
    if _home().exists():
        shutil.rmtree(_home())


def _home() -> Path:
    return paths.CACHE / "go"
