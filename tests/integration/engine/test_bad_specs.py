"""What the CRD cannot know: specs that Kubernetes refuses in a child, and texts that somebody could take for commands.

One operator, many bad models beside good ones. Its log is read at the end: nothing in it may be a surprise.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from llama_operator.flags import table
from tests.integration.engine.operator_process import Operator, eventually
from tests.integration.engine.place import FULL, SPEC, Place, Start
from tests.integration.manifests.mutations import NASTY
from tests.integration.manifests.refused_by_children import CASES, BadSpec
from tests.integration.server import Object

BUILD = table.builds()[-1]
FAST = {"API_QPS": "1000", "API_BURST": "1000", "SERVER_IMAGE_CUDA": "server:1"}
ALL = {"Deployment": "deployment", "Service": "service", "Ingress": "ingress", "PersistentVolumeClaim": "claim"}


@pytest.fixture
def place(place: Place) -> Iterator[Place]:
    """Without a garbage collector the Services would stay, and with them their addresses, of which there are 254."""
    yield place
    place.server("DELETE", place.service.rpartition("/")[0])


def child(place: Place, kind: str, model: str) -> Object | None:
    path: str = getattr(place, ALL[kind])
    collection, _, name = path.rpartition("/")
    return place.find(f"{collection}/{model}{name.removeprefix('m')}")


def conditions(place: Place, model: str) -> dict[str, Object]:
    """By type; an AssertionError while they are about an older spec."""
    found = place.get(f"{place.models}/{model}")
    status = found.get("status", {})
    assert status.get("observedGeneration") == found["metadata"]["generation"], model
    return {condition["type"]: condition for condition in status["conditions"]}


def assert_told(place: Place, bad: BadSpec) -> None:
    stalled = conditions(place, bad.name).get("Stalled", {})
    assert stalled.get("reason") == "Invalid", bad
    assert f"{bad.kind} {bad.name}: " in stalled["message"]
    assert f"{bad.field}: " in stalled["message"]
    ready = conditions(place, bad.name)["Ready"]
    assert (ready["status"], ready["message"]) == ("False", stalled["message"])


def assert_served(place: Place, model: str) -> None:
    """All four children are there, and nothing stands in the way."""
    assert "Stalled" not in conditions(place, model)
    for kind in ALL:
        assert child(place, kind, model) is not None, f"{kind} of {model}"


def assert_no_surprise(operator: Operator) -> None:
    assert operator.alive()
    for line in operator.lines():
        assert "Traceback" not in line
        assert "this is a bug" not in line


def test_what_kubernetes_refuses_is_told_and_can_be_repaired(place: Place, start: Start) -> None:
    operator = start(**FAST).ready()
    place.model(FULL, name="before")
    for bad in CASES:
        place.model({**FULL, **bad.part}, name=bad.name)
    place.model(FULL, name="after")
    for bad in CASES:
        eventually(lambda bad=bad: assert_told(place, bad))  # type: ignore[misc]
    for good in ("before", "after"):
        eventually(lambda good=good: assert_served(place, good))  # type: ignore[misc]
    for bad in CASES:
        there = {kind for kind in ALL if child(place, kind, bad.name)}
        assert there == ALL.keys() - {bad.kind}, f"{bad.name}: the other children do not wait for the bad one"

    operator.settle()
    applied = {("apply", kind): len(CASES) + 2 for kind in ALL}
    assert {key: operator.writes()[key] for key in applied} == applied, "each child once, refused or not"

    for bad in CASES:
        path = f"{place.models}/{bad.name}"
        place.server("PUT", path, {**place.get(path), "spec": FULL})
    for bad in CASES:
        eventually(lambda bad=bad: assert_served(place, bad.name))  # type: ignore[misc]
    assert_no_surprise(operator)


TEXTS = {name: text for name, text in NASTY.items() if "\0" not in text and text}


def test_texts_are_passed_on_as_they_are(place: Place, start: Start) -> None:
    """In `args` a `$$` is Kubernetes' way to write a `$` that expands nothing; llama-server gets what the spec says."""
    texts = list(TEXTS.values())
    annotations = {f"example.com/{name}": text for name, text in TEXTS.items()}
    operator = start(**FAST).ready()
    place.model(
        {
            "source": {"url": {"url": "http://files/$(HOME)/{{x}}/`id`/';rm/m.gguf"}},
            "engine": {
                "args": texts,
                "env": [{"name": f"TEXT_{n}", "value": text} for n, text in enumerate(texts)],
            },
            "service": {"annotations": annotations},
            "ingress": {"host": "m.example.com", "annotations": annotations},
            "pod": {"annotations": annotations},
        }
    )
    eventually(lambda: place.condition("Ready"))
    operator.settle()
    deployment = place.get(place.deployment)
    pod = deployment["spec"]["template"]["spec"]
    (stage,), (server, _) = pod["initContainers"], pod["containers"]
    assert server["args"][-len(texts) :] == [text.replace("$", "$$") for text in texts]
    assert [variable["value"] for variable in server["env"]] == texts
    assert "command" not in server, "the image's own entry point, and no shell, gets them"
    (asked,) = stage["args"]
    assert json.loads(asked)["files"][0]["source"]["url"] == "http://files/$$(HOME)/{{x}}/`id`/';rm/m.gguf"
    annotated = [deployment["spec"]["template"], place.get(place.service), place.get(place.ingress)]
    for obj in annotated:
        assert obj["metadata"]["annotations"].items() >= annotations.items()
    assert operator.writes()["apply", "Deployment"] == operator.writes()["apply", "Service"] == 1
    assert_no_surprise(operator)


def test_a_flag_that_the_engine_does_not_have_changes_nothing(place: Place, start: Start) -> None:
    """The Deployment stays as it is, so its pods keep serving; what to write instead is told. Then it goes on."""
    operator = start(**FAST, SERVER_BUILD_CPU=BUILD).ready()
    place.model({**FULL, "engine": {"args": ["--temp", "0"]}})
    eventually(place.complete)
    operator.settle()
    before = place.versions()

    place.model({**FULL, "engine": {"args": ["--temp", "0", "--no-mmap"], "slots": 3}})

    def told() -> None:
        stalled = conditions(place, "m")["Stalled"]
        assert stalled["reason"] == "Invalid"
        assert "spec.engine.args[2]: " in stalled["message"]
        assert "use --load-mode none" in stalled["message"]
        assert conditions(place, "m")["Ready"]["message"] == stalled["message"]

    eventually(told)
    operator.settle()
    children = {path: version for path, version in before.items() if path.startswith((place.deployment, place.service))}
    assert len(children) == 2
    assert children.items() <= place.versions().items()

    place.model({**FULL, "engine": {"args": ["--temp", "0", "--load-mode", "none"], "slots": 3}})
    eventually(lambda: assert_served(place, "m"))
    args = place.get(place.deployment)["spec"]["template"]["spec"]["containers"][0]["args"]
    assert args[-2:] == ["--load-mode", "none"]
    assert_no_surprise(operator)


def test_an_image_of_ones_own_may_have_other_flags(place: Place, start: Start) -> None:
    operator = start(**FAST, SERVER_BUILD_CPU=BUILD).ready()
    place.model({**FULL, "image": "mine:1", "engine": {"args": ["--no-mmap"]}})
    eventually(place.complete)
    assert "Stalled" not in conditions(place, "m")
    assert_no_surprise(operator)


def test_a_path_in_a_volume_is_passed_on_as_it_is(place: Place, start: Start) -> None:
    path = "$(HOME)/{{ .Values.x }}/`id`/\u0430\u202e\U0001f999/;rm -rf ~/m.gguf"
    operator = start(**FAST).ready()
    place.model({"source": {"volume": {"claimName": "models", "path": path}}})
    eventually(lambda: place.condition("Ready"))
    pod = place.get(place.deployment)["spec"]["template"]["spec"]
    literal = f"/volumes/model/{path}".replace("$", "$$")
    (stage,), (server, _) = pod["initContainers"], pod["containers"]
    assert json.loads(stage["args"][0])["files"][0]["path"] == literal
    assert literal in server["args"]
    operator.settle()
    assert operator.writes()["apply", "Deployment"] == 1
    assert_no_surprise(operator)


@pytest.mark.parametrize(
    ("value", "kept"), [("1.0005", "1001m"), ("1e-9", "1e-3"), (".5", "500m"), ("1000m", "1"), ("+2", "+2")]
)
def test_a_quantity_that_the_api_server_writes_otherwise_is_no_quarrel(
    place: Place, start: Start, value: str, kept: str
) -> None:
    operator = start().ready()
    place.model({**SPEC, "resources": {"limits": {"cpu": value}}})
    eventually(lambda: place.condition("Ready"))
    operator.settle()
    container, _ = place.get(place.deployment)["spec"]["template"]["spec"]["containers"]
    assert container["resources"]["limits"]["cpu"] == kept
    with operator.reconciling():
        place.server("PATCH", place.service, {"metadata": {"annotations": {"some": "event"}}})
    assert operator.writes()["apply", "Deployment"] == 1


def test_a_claim_that_cannot_grow_is_told(place: Place, start: Start) -> None:
    """It is bound to no volume here, so Kubernetes does not let it grow; everything else goes on."""
    operator = start(**FAST).ready()
    place.model(FULL)
    eventually(place.complete)
    place.model({**FULL, "storage": {"claim": {"size": "2Gi"}}, "engine": {"slots": 3}})

    def told() -> None:
        stalled = conditions(place, "m")["Stalled"]
        assert stalled["reason"] in ("Invalid", "Forbidden")
        assert "PersistentVolumeClaim m-model: " in stalled["message"]
        assert "spec" in stalled["message"]

    eventually(told)
    container, _ = place.get(place.deployment)["spec"]["template"]["spec"]["containers"]
    assert container["args"][container["args"].index("--parallel") + 1] == "3"
    assert_no_surprise(operator)
