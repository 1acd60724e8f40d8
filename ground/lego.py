"""Traefik without the 180 DNS providers of its ACME library, which are most of its code and no use to a test cluster.

Go takes no overlay over its module cache, so the library is copied, cut down, and put in by a `replace`.
"""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ground import golang, store

MODULE = "github.com/go-acme/lego/v4"
STUB = "dns_stub.go.txt"


@contextmanager
def trimmed(module: Path) -> Iterator[Path]:
    """Yield a copy of the module in which `./lego`, the target of its `replace`, is there; or just the module."""
    go_mod = (module / "go.mod").read_text()
    if MODULE not in go_mod:
        yield module
        return
    with store.scratch("traefik") as folder:
        for name in ("go.mod", "go.sum"):
            shutil.copy(module / name, folder / name)
        at = golang.required(go_mod, MODULE)
        copy = folder / "lego"
        shutil.copytree(golang.download(MODULE, at), copy, ignore=_left_out, copy_function=shutil.copyfile)
        for path in (copy, *copy.rglob("*")):
            path.chmod(0o755 if path.is_dir() else 0o644)
        shutil.copy(module / STUB, copy / "providers" / "dns" / "zz_gen_dns_providers.go")
        yield folder


def _left_out(folder: str, names: list[str]) -> set[str]:
    """Every provider of DNS records; what they share stays."""
    if Path(folder).parts[-2:] != ("providers", "dns"):
        return set()
    return {name for name in names if name != "internal"}
