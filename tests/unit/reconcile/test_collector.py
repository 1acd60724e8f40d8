"""When unused files are removed from shared volumes, and with which list of what is in use."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from llama_operator import constants
from llama_operator.api.staging import MARGIN_SECONDS, Collect
from llama_operator.api.types import SpecError, parse
from llama_operator.config import Config
from llama_operator.constants import KIND
from llama_operator.kube.transport import Answer, Request
from llama_operator.reconcile.collector import (
    AGAIN_SECONDS,
    FIRST_SWEEP,
    LAST_PAUSE,
    PAUSE_SECONDS,
    SWEEP_SECONDS,
    Collector,
)
from llama_operator.resources.staging import links
from llama_operator.runtime.cache import Cache
from tests.unit.kube.fake_api import FakeAPI, status

Object = dict[str, Any]

JOBS = "/apis/batch/v1/namespaces/team/jobs/"
NODE_PATH = "/var/cache/models"
NODE_FOLDER: Object = {"nodePath": NODE_PATH}
SHARED: Object = {"claimName": "shared"}
MOUNTED: Object = {"volumes": [{"name": "models", "persistentVolumeClaim": SHARED}]}


class World:
    """A cache of models and their pods, without reconciles; `jobs` are the collecting Jobs, as they were asked for."""

    def __init__(self) -> None:
        self.api = FakeAPI()
        self.cache = Cache()
        self.now = 0.0
        self.version = 0
        config = Config(stage_image="operator:1", node_paths=(NODE_PATH,))
        client = self.api.client()
        self.collector = Collector(
            config=config, cache=self.cache, client=client, clock=lambda: self.now, now=lambda: 1e9 + self.now
        )

    def put(self, kind: str, name: str, obj: Object, namespace: str = "team") -> None:
        self.version += 1
        meta = {"name": name, "namespace": namespace, "uid": f"uid-{name}", "resourceVersion": str(self.version)}
        self.cache.observe(kind, obj | {"metadata": meta | obj.get("metadata", {})})

    def model(self, name: str, file: str, cache: Object | None, namespace: str = "team") -> str:
        """Its link."""
        storage = {"storage": {"cache": cache}} if cache else {}
        spec = {"source": {"url": {"url": f"https://example.com/{file}.gguf"}}, **storage}
        self.put(KIND, name, {"spec": spec}, namespace)
        return link(file)

    def pod(self, name: str, model: str, *files: str, namespace: str = "team", node: str = "n1", **more: Any) -> None:
        meta = {
            "labels": {constants.MODEL_LABEL: model},
            "annotations": {constants.FILES: " ".join(map(link, files))},
        }
        self.put("Pod", name, {"metadata": meta, "spec": MOUNTED | {"nodeName": node}, "status": more}, namespace)

    def gone(self, kind: str, name: str) -> None:
        self.cache.absent(kind, "team", name)

    async def look(self, name: str, namespace: str = "team") -> float | None:
        seen = self.cache.snapshot((namespace, name))
        try:
            model = parse(seen.model) if seen.model else None
        except SpecError:
            model = None
        return await self.collector.look((namespace, name), model, seen)

    @property
    def jobs(self) -> list[Object]:
        return [body for body in self.api.bodies if body.get("kind") == "Job"]

    def live(self) -> set[str]:
        """What the last Job was told to be in use."""
        return set(asked(self.jobs[-1]).live)


def link(file: str) -> str:
    raw = {
        "metadata": {"name": "a", "namespace": "a", "uid": "a"},
        "spec": {"source": {"url": {"url": f"https://example.com/{file}.gguf"}}},
    }
    return links(parse(raw))


def asked(job: Object) -> Collect:
    (container,) = job["spec"]["template"]["spec"]["containers"]
    return msgspec.json.decode("".join(container["args"]), type=Collect)


def failed(reason: str, at: str, need: int = 0) -> Object:
    told = {"exitCode": 1, "finishedAt": at, "message": json.dumps({"reason": reason, "message": "m", "need": need})}
    waits = {"name": "stage", "state": {"waiting": {}}, "lastState": {"terminated": told}}
    return {"initContainerStatuses": [waits]}


@pytest.fixture
def world() -> World:
    return World()


DELETE = SHARED | {"whenUnused": "Delete"}


class TestRelease:
    async def test_what_a_model_gives_up_goes(self, world: World) -> None:
        world.model("a", "one", DELETE)
        kept = world.model("b", "two", DELETE)
        await world.look("a")
        now = world.model("a", "three", DELETE)
        await world.look("a")
        assert world.live() == {kept, now}
        (job,) = world.jobs
        assert job["metadata"]["name"].startswith("llama-cache-")
        assert "ownerReferences" not in job["metadata"]
        assert constants.MODEL_LABEL not in job["metadata"]["labels"]

    async def test_a_deleted_models_file_goes_when_its_last_pod_has_ended(self, world: World) -> None:
        world.model("a", "one", DELETE)
        world.pod("a-1", "a", "one")
        await world.look("a")
        world.gone(KIND, "a")
        await world.look("a")
        assert world.jobs == []
        world.gone("Pod", "a-1")
        await world.look("a")
        assert world.live() == set()
        await world.look("a")
        assert len(world.jobs) == 1

    async def test_what_was_only_just_staged_goes_a_little_later(self, world: World) -> None:
        world.model("a", "one", DELETE)
        await world.look("a")
        world.gone(KIND, "a")
        assert await world.look("a") == AGAIN_SECONDS
        world.model("b", "two", DELETE)
        assert await world.look("b") is None, "nobody else needs to be looked at again"
        world.now += AGAIN_SECONDS
        assert await world.look("a") is None
        assert len(world.jobs) == 2
        assert asked(world.jobs[1]).as_of - asked(world.jobs[0]).as_of > MARGIN_SECONDS

    async def test_what_others_use_stays(self, world: World) -> None:
        world.model("a", "one", DELETE)
        world.model("b", "one", DELETE)
        await world.look("a")
        world.gone(KIND, "a")
        await world.look("a")
        assert world.jobs == []

    async def test_what_an_old_template_serves_stays(self, world: World) -> None:
        """Held back until the new source is staged."""
        world.model("a", "one", DELETE)
        await world.look("a")
        template = {"metadata": {"annotations": {constants.FILES: link("one")}}}
        labels = {"labels": {constants.MODEL_LABEL: "a"}}
        world.put("Deployment", "a", {"kind": "Deployment", "metadata": labels, "spec": {"template": template}})
        world.model("a", "two", DELETE)
        await world.look("a")
        assert world.jobs == []

    async def test_keep_keeps(self, world: World) -> None:
        world.model("a", "one", SHARED)
        await world.look("a")
        world.gone(KIND, "a")
        await world.look("a")
        assert world.jobs == []

    async def test_one_who_keeps_keeps_for_all(self, world: World) -> None:
        world.model("a", "one", DELETE)
        world.model("b", "two", SHARED)
        await world.look("a")
        world.gone(KIND, "a")
        await world.look("a")
        assert world.jobs == []

    async def test_another_namespaces_claim_is_another(self, world: World) -> None:
        world.model("a", "one", DELETE)
        world.model("b", "two", SHARED, namespace="other")
        await world.look("a")
        world.gone(KIND, "a")
        await world.look("a")
        assert world.live() == set()

    async def test_a_model_that_leaves_the_cache_gives_up_its_file(self, world: World) -> None:
        world.model("a", "one", DELETE)
        world.pod("a-1", "a", "one")
        await world.look("a")
        world.model("a", "two", None)
        await world.look("a")
        assert world.jobs == []
        world.gone("Pod", "a-1")
        await world.look("a")
        assert len(world.jobs) == 1

    async def test_models_without_a_cache_cost_nothing(self, world: World) -> None:
        world.model("a", "one", None)
        assert await world.look("a") is None
        world.gone(KIND, "a")
        assert await world.look("a") is None
        assert world.jobs == []


class TestPressure:
    @pytest.mark.parametrize("cache", [SHARED, DELETE])
    @pytest.mark.parametrize("reason", ["DiskFull", "QuotaExceeded"])
    async def test_makes_room(self, world: World, cache: Object, reason: str) -> None:
        name = world.model("a", "one", cache)
        world.pod("a-1", "a", "one", **failed(reason, "2026-11-24T03:00:00Z", need=4096))
        await world.look("a")
        told = asked(world.jobs[0])
        assert (told.when_unused, told.need, told.live) == ("Keep", 4096, (name,))

    async def test_makes_room_on_a_claim_of_the_models_own(self, world: World) -> None:
        """Where the files of its older sources are."""
        spec = {"source": {"url": {"url": "https://example.com/one.gguf"}}, "storage": {"claim": {"size": "1Gi"}}}
        world.put(KIND, "a", {"spec": spec})
        world.pod("a-1", "a", "one", node="n7", **failed("DiskFull", "2026-11-24T03:00:00Z", need=1))
        await world.look("a")
        pod = world.jobs[0]["spec"]["template"]["spec"]
        assert pod["volumes"][0]["persistentVolumeClaim"]["claimName"] == "a-model"
        assert world.live() == {link("one")}

    @pytest.mark.parametrize(("cache", "reason"), [(SHARED, "NotFound"), (None, "DiskFull")])
    async def test_other_troubles_are_none(self, world: World, cache: Object | None, reason: str) -> None:
        world.model("a", "one", cache)
        world.pod("a-1", "a", "one", **failed(reason, "2026-11-24T03:00:00Z"))
        await world.look("a")
        assert world.jobs == []

    async def test_is_met_once_for_each_failure_and_less_and_less(self, world: World) -> None:
        world.model("a", "one", SHARED)
        world.pod("a-1", "a", "one", **failed("DiskFull", "2026-11-24T03:00:00Z"))
        assert await world.look("a") is None
        world.now += LAST_PAUSE
        assert await world.look("a") is None
        assert len(world.jobs) == 1
        world.pod("a-1", "a", "one", **failed("DiskFull", "2026-11-24T04:00:00Z"))
        assert await world.look("a") is None
        world.pod("a-1", "a", "one", **failed("DiskFull", "2026-11-24T04:00:10Z"))
        assert await world.look("a") == 2 * PAUSE_SECONDS
        assert len(world.jobs) == 2
        world.now += 2 * PAUSE_SECONDS
        await world.look("a")
        assert len(world.jobs) == 3


class TestPace:
    async def test_the_list_of_what_is_in_use_is_not_made_for_each_model(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """It takes a look at all of them."""
        scans: list[str] = []
        objects = world.cache.objects

        def counted(kind: str, namespace: str | None = None) -> list[Object]:
            scans.append(kind)
            return objects(kind, namespace)

        monkeypatch.setattr(world.cache, "objects", counted)
        for number in range(20):
            world.model(f"m{number}", f"file-{number}", DELETE)
            await world.look(f"m{number}")
        for number in range(20):
            world.gone(KIND, f"m{number}")
            await world.look(f"m{number}")
        assert len(world.jobs) == 1
        assert scans.count("Pod") == 1

    async def test_a_volume_has_one_job_a_minute(self, world: World) -> None:
        world.model("a", "one", DELETE)
        await world.look("a")
        world.model("a", "two", DELETE)
        await world.look("a")
        world.model("a", "three", DELETE)
        assert await world.look("a") == PAUSE_SECONDS
        world.now += PAUSE_SECONDS
        await world.look("a")
        names = [job["metadata"]["name"] for job in world.jobs]
        assert len(set(names)) == len(names) == 2

    async def test_a_job_that_exists_already_is_as_good(self, world: World) -> None:
        world.model("a", "one", DELETE)
        await world.look("a")
        world.model("a", "two", DELETE)
        world.api.answer = lambda request: status(409, "Conflict", "exists") if JOBS in request.path else None
        assert await world.look("a") is None

    async def test_a_job_that_cannot_be_made_is_tried_again(self, world: World) -> None:
        def refuse(request: Request) -> Answer | None:
            return status(403, "Forbidden", "exceeded quota") if JOBS in request.path else None

        world.model("a", "one", DELETE)
        await world.look("a")
        world.model("a", "two", DELETE)
        world.api.answer = refuse
        assert await world.look("a") == PAUSE_SECONDS
        world.api.answer = lambda _: None
        world.now += PAUSE_SECONDS
        assert await world.look("a") is None
        assert len(world.jobs) == 2

    async def test_volumes_are_swept_once_a_day_and_not_after_a_restart(self, world: World) -> None:
        world.model("a", "one", DELETE)
        await world.look("a")
        world.now = FIRST_SWEEP - 1
        await world.look("a")
        assert world.jobs == []
        for day in range(2):
            world.now = FIRST_SWEEP + day * SWEEP_SECONDS
            await world.look("a")
            await world.look("a")
            assert len(world.jobs) == day + 1

    async def test_what_is_kept_is_not_swept(self, world: World) -> None:
        world.model("a", "one", SHARED)
        await world.look("a")
        world.now = FIRST_SWEEP + SWEEP_SECONDS
        await world.look("a")
        assert world.jobs == []


class TestNodes:
    @pytest.mark.parametrize(
        ("pods", "node"),
        [
            ([], None),
            ([("n1", "Running", True)], "n1"),
            ([("n1", "Pending", False), ("n2", "Running", True), ("n3", "Running", True)], "n2"),
            ([("n1", "Succeeded", False), ("n2", "Pending", False)], "n2"),
            ([("n1", "Failed", False), ("", "Pending", False)], None),
        ],
    )
    async def test_a_claim_is_collected_where_a_pod_has_it(self, world: World, pods: Any, node: str | None) -> None:
        """Of a ReadWriteOnce claim no other node can mount it."""
        world.model("a", "one", DELETE)
        await world.look("a")
        for number, (name, phase, ready) in enumerate(pods):
            conditions = [{"type": "Ready", "status": str(ready)}]
            world.pod(f"a-{number}", "a", "two", node=name, phase=phase, conditions=conditions)
        world.model("a", "two", DELETE)
        await world.look("a")
        affinity = world.jobs[-1]["spec"]["template"]["spec"].get("affinity", {}).get("nodeAffinity", {})
        terms = affinity.get("requiredDuringSchedulingIgnoredDuringExecution", {}).get("nodeSelectorTerms", [])
        assert [term["matchFields"][0]["values"] for term in terms] == ([[node]] if node else [])

    async def test_a_pod_with_another_claim_does_not_count(self, world: World) -> None:
        world.model("a", "one", DELETE | {"claimName": "other"})
        await world.look("a")
        world.pod("a-1", "a", "two")
        world.model("a", "two", DELETE | {"claimName": "other"})
        await world.look("a")
        assert "affinity" not in world.jobs[-1]["spec"]["template"]["spec"]

    async def test_each_node_is_collected_where_it_is(self, world: World) -> None:
        """And each namespace for itself: it has a folder of its own there."""
        cache = NODE_FOLDER | {"whenUnused": "Delete"}
        world.model("a", "one", cache)
        world.pod("a-1", "a", "one", node="n1")
        world.pod("a-2", "a", "one", node="n2")
        kept = world.model("b", "two", cache)
        world.model("c", "one", NODE_FOLDER | {"whenUnused": "Keep"}, namespace="other")
        world.pod("c-1", "c", "one", namespace="other", node="n1")
        await world.look("a")
        world.gone(KIND, "a")
        world.gone("Pod", "a-1")
        world.gone("Pod", "a-2")
        await world.look("a")
        assert world.live() == {kept}
        assert {job["metadata"]["namespace"] for job in world.jobs} == {"team"}
        pods = [job["spec"]["template"]["spec"] for job in world.jobs]
        assert len(pods) == len({job["metadata"]["name"] for job in world.jobs}) == 2
        assert [sum(f'"{node}"' in json.dumps(pod) for pod in pods) for node in ("n1", "n2", "n3")] == [1, 1, 0]
        assert {pod["volumes"][0]["hostPath"]["path"] for pod in pods} == {NODE_PATH}
        assert {pod["containers"][0]["volumeMounts"][0]["subPath"] for pod in pods} == {"team"}

    async def test_a_folder_that_is_not_allowed_is_left_alone(self, world: World) -> None:
        world.model("a", "one", {"nodePath": "/etc", "whenUnused": "Delete"})
        world.pod("a-1", "a", "one")
        await world.look("a")
        world.gone(KIND, "a")
        world.gone("Pod", "a-1")
        await world.look("a")
        assert world.jobs == []
