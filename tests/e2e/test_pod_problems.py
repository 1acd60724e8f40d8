"""Pods that cannot run: the conditions say why, and what to do."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.e2e.conftest import FileServer
from tests.e2e.witness import Model, Object, Witness, eventually

pytestmark = pytest.mark.e2e

# By name of the model: what is wrong with the spec, the reason, and words that the message must hold.
PROBLEMS: dict[str, tuple[Object, str, str]] = {
    "image": ({"image": "localhost/there-is-none:1"}, "ImagePullFailed", "localhost/there-is-none:1"),
    "node": ({"pod": {"nodeSelector": {"example.com/moon": "true"}}}, "Unschedulable", "node"),
    "flag": ({"engine": {"args": ["--there-is-no-such-flag"]}}, "ServerCrashed", "--there-is-no-such-flag"),
    "secret": (
        {"engine": {"env": [{"name": "LLAMA_API_KEY", "valueFrom": {"secretKeyRef": {"name": "none", "key": "k"}}}]}},
        "ContainerConfigInvalid",
        'secret "none" not found',
    ),
}


@pytest.fixture(scope="module")
def models(witness: Witness, files_in_cluster: FileServer) -> Iterator[dict[str, Model]]:
    made = {}
    for name, (spec, _, _) in PROBLEMS.items():
        made[name] = Model(witness, files_in_cluster.namespace, f"problem-{name}")
        made[name].apply(source=files_in_cluster.source(), **spec)
    yield made
    for model in made.values():
        model.delete()


@pytest.mark.parametrize("name", PROBLEMS)
def test_the_problem_is_told(name: str, models: dict[str, Model]) -> None:
    model, (_, reason, words) = models[name], PROBLEMS[name]
    available = model.wait("Available", reason)
    ready = model.condition("Ready")
    assert (available["status"], ready["status"], ready["reason"]) == ("False", "False", reason)
    assert words in ready["message"]

    def told() -> None:
        assert "Warning" in [e["type"] for e in model.events() if e["reason"] == reason]

    eventually(told, timeout=10)


def test_a_failing_new_version_leaves_the_old_one_serving(
    new_model: Callable[[str], Model], files_in_cluster: FileServer
) -> None:
    model = new_model("half-rolled")
    model.apply(source=files_in_cluster.source())
    model.ready()
    model.apply(source=files_in_cluster.source(), engine={"args": ["--there-is-no-such-flag"]})
    ready = model.wait("Ready", "ServerCrashed")
    assert ready["status"] == "False"
    assert model.condition("Available")["status"] == "True"
    assert model.read()["status"]["readyReplicas"] == 1
