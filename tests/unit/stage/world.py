"""A volume with models, pods and an operator's lists of what is in use, for tests of what may be removed when."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from llama_operator.api.staging import Collect, Collected
from llama_operator.stage.collect import collect
from llama_operator.stage.context import Context
from llama_operator.stage.obtain import obtain
from llama_operator.stage.store.layout import links
from llama_operator.stage.store.store import Published, Store
from llama_operator.stage.transfer.remote import Remote
from tests.unit.stage.steps import blocked
from tests.unit.stage.support import Server, sha256


def no_pause(seconds: float) -> None:
    raise AssertionError("nobody else holds a lock here")


@dataclass(frozen=True)
class Source:
    """A file of the server; with `known`, its digest is in the spec."""

    path: str
    data: bytes
    known: bool

    @property
    def link(self) -> str:
        return f"links/{sha256(self.path.encode())[:8]}-{'known' if self.known else 'new'}.gguf"


@dataclass
class Pod:
    """`staged` once the stager has ended well: from then on the file has to be there."""

    source: Source
    staged: bool = False


@dataclass
class World:
    root: Path
    server: Server
    http: httpx.Client
    quota: int = 0
    models: dict[str, Source] = field(default_factory=dict)
    pods: list[Pod] = field(default_factory=list)
    log: list[str] = field(default_factory=list)

    def context(self, *, other: bool = False) -> Context:
        return Context(log=self.log.append, sleep=blocked if other else no_pause)

    def store(self, *, other: bool = False) -> Store:
        store = Store(self.root, self.context(other=other), self.quota)
        store.prepare()
        return store

    def stage(self, source: Source, *, other: bool = False) -> Published:
        """One run of the stager in a new pod; with `other` it runs while another process is stopped somewhere."""
        pod = Pod(source)
        self.pods.append(pod)
        store, link = self.store(other=other), self.root / source.link
        digest = sha256(source.data) if source.known else None
        found = store.current(link, digest, reread=False) or obtain(
            self.http, Remote(self.server.url(source.path), digest), link, store, self.context(other=other)
        )
        pod.staged = True
        return found

    def in_use(self) -> tuple[tuple[str, ...], int]:
        """What the operator knows at this moment: its list, and its time."""
        as_of = int(time.time())
        return tuple(sorted({s.link for s in self.models.values()} | {p.source.link for p in self.pods})), as_of

    def collect(
        self, live: tuple[str, ...], as_of: int, *, delete: bool = True, need: int = 0, other: bool = False
    ) -> Collected:
        request = Collect(str(self.root), live, as_of, "Delete" if delete else "Keep", need, self.quota)
        return collect(request, self.context(other=other))

    def age(self, seconds: float) -> None:
        """Let time pass, by making all that is there older. The caller does so with its lists."""
        places = [*(link for link, _ in links(self.root)), *(self.root / ".stage").glob("*")]
        for place in places:
            past = place.lstat().st_mtime_ns - int(seconds * 1e9)
            os.utime(place, ns=(past, past), follow_symlinks=False)

    def published(self) -> list[Path]:
        return sorted((self.root / "sha256").glob("*/[!.]*"))

    def check(self) -> None:
        """What has to be true at every moment."""
        for path in self.published():
            assert sha256(path.read_bytes()) == path.parent.name
        for pod in self.pods:
            if pod.staged:
                assert (self.root / pod.source.link).read_bytes() == pod.source.data
        if self.quota:
            assert sum(path.stat().st_size for path in self.published()) <= self.quota


Action = Callable[[], None]
