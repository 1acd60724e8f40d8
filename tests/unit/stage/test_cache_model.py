"""Any order of models, pods, kills and collectors, also in the middle of each other: what is in use stays, what is not
goes, and the quota holds."""

from __future__ import annotations

import os
import tempfile
import threading
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from llama_operator.stage.failures import Failure, Reason
from tests.gguf_files import gguf_file
from tests.unit.stage.steps import Killed, kill, stopped
from tests.unit.stage.support import Server
from tests.unit.stage.world import Source, World

FILES = [gguf_file(values, name=f"file {values}") for values in (1000, 1300, 1600, 1900)]
SOURCES = [Source(f"/{n}.gguf", data, known) for n, data in enumerate(FILES) for known in (False, True)]
QUOTAS = [0, 10_000, 15_000]
"""None, one or two of the files, two or three of them."""

models = st.sampled_from(["a", "b", "c"])
sources = st.sampled_from(SOURCES)
steps = st.integers(0, 60)
# Around the margin of ten minutes, and around the day after which a download counts as given up.
spans = st.sampled_from([1.0, 590.0, 700.0, 90_000.0])


class Cache(RuleBasedStateMachine):
    """Lists of what is in use are made at some time, and used at any later one, more than once."""

    def __init__(self) -> None:
        super().__init__()
        self.stack = ExitStack()
        root = Path(self.stack.enter_context(tempfile.TemporaryDirectory()))
        server = self.stack.enter_context(Server())
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        self.stack.callback(thread.join)
        self.stack.callback(server.shutdown)
        for source in SOURCES:
            server.add(source.path, source.data)
        self.world = World(root, server, self.stack.enter_context(httpx.Client()))
        self.lists: list[tuple[tuple[str, ...], int]] = []

    @initialize(quota=st.sampled_from(QUOTAS))
    def limit(self, quota: int) -> None:
        self.world.quota = quota

    @rule(model=models, source=sources)
    def appear(self, model: str, source: Source) -> None:
        """Or change its source; the old pod may live on."""
        self.world.models[model] = source

    @rule(model=models)
    def disappear(self, model: str) -> None:
        self.world.models.pop(model, None)

    @rule(data=st.data())
    def end_a_pod(self, data: st.DataObject) -> None:
        if self.world.pods:
            self.world.pods.pop(data.draw(st.integers(0, len(self.world.pods) - 1)))

    @rule()
    def list_what_is_in_use(self) -> None:
        self.lists.append(self.world.in_use())

    @rule(seconds=spans)
    def time_passes(self, seconds: float) -> None:
        self.world.age(seconds)
        self.lists = [(live, as_of - int(seconds)) for live, as_of in self.lists]

    @rule(data=st.data())
    def stage(self, data: st.DataObject) -> None:
        self._stage(self._source(data))

    @rule(data=st.data(), step=steps)
    def kill_a_stager(self, data: st.DataObject, step: int) -> None:
        source = self._source(data)
        with stopped(step, kill):
            self._stage(source)

    @rule(data=st.data(), step=steps, delete=st.booleans())
    def collect_while_a_stager_is_stopped(self, data: st.DataObject, step: int, delete: bool) -> None:
        source, listed = self._source(data), self._listed(data)
        with stopped(step, lambda: self._collect(listed, delete, other=True)):
            self._stage(source)

    @rule(data=st.data(), step=steps)
    def stage_while_a_stager_is_stopped(self, data: st.DataObject, step: int) -> None:
        source, another = self._source(data), self._source(data)
        with stopped(step, lambda: self._stage(another, other=True)):
            self._stage(source)

    @rule(data=st.data(), step=steps, delete=st.booleans())
    def stage_while_a_collector_is_stopped(self, data: st.DataObject, step: int, delete: bool) -> None:
        source, listed = self._source(data), self._listed(data)
        with stopped(step, lambda: self._stage(source, other=True)):
            self._collect(listed, delete)

    @rule(data=st.data(), delete=st.booleans(), step=steps)
    def kill_a_collector(self, data: st.DataObject, delete: bool, step: int) -> None:
        listed = self._listed(data)
        with stopped(step, kill):
            self._collect(listed, delete)

    @rule(data=st.data(), delete=st.booleans())
    def collect(self, data: st.DataObject, delete: bool) -> None:
        self._collect(self._listed(data), delete)

    @invariant()
    def nothing_is_wrong(self) -> None:
        self.world.check()

    def teardown(self) -> None:
        """In the end nobody uses anything, and nothing is left: neither of the files, nor of the kills."""
        try:
            self.world.models.clear()
            self.world.pods.clear()
            for _ in range(4):
                self.world.age(100_000)
                self._collect(self.world.in_use(), True)
            assert self._left() == [".stage/lock"]
        finally:
            self.stack.close()

    def _left(self) -> list[str]:
        root = self.world.root
        return sorted(str((Path(f) / n).relative_to(root)) for f, _, names in os.walk(root) for n in names)

    def _source(self, data: st.DataObject) -> Source:
        """Mostly of a model that exists; one that was deleted meanwhile may still have a pod that starts."""
        known = sorted(self.world.models.values(), key=lambda s: s.link)
        return data.draw(st.sampled_from(known or SOURCES))

    def _listed(self, data: st.DataObject) -> tuple[tuple[str, ...], int]:
        """Any list of the past, or one of now."""
        return data.draw(st.sampled_from([*self.lists, self.world.in_use()]))

    def _collect(self, listed: tuple[tuple[str, ...], int], delete: bool, **options: Any) -> None:
        try:
            self.world.collect(*listed, delete=delete, **options)
        except Killed:
            return

    def _stage(self, source: Source, *, other: bool = False) -> None:
        """If the quota is exceeded and a collector finds enough to remove, the next try has to succeed."""
        try:
            self.world.stage(source, other=other)
        except Killed:
            return
        except Failure as failure:
            if failure.reason is not Reason.QUOTA_EXCEEDED:
                raise
            if not other:
                self._make_room(source, failure.need)

    def _make_room(self, source: Source, need: int) -> None:
        try:
            if not self.world.collect(*self.world.in_use(), delete=False, need=need).missing:
                self.world.stage(source)
        except Killed:
            return


Cache.TestCase.settings = settings(
    max_examples=int(os.environ.get("CACHE_EXAMPLES", "40")),
    stateful_step_count=30,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
TestCache = Cache.TestCase
