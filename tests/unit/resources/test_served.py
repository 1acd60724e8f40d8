"""A pod template that is built again, while the spec already says other things."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from llama_operator.api.types import LlamaModel, Spec, parse
from llama_operator.resources import deployment, served
from tests.unit.resources.models import CONFIG, EXAMPLES, example, model
from tests.unit.resources.test_sources import FILES

ALL: dict[str, Any] = {
    **FILES,
    "accelerator": {"type": "cuda", "count": 2},
    "engine": {"contextSize": 8192, "slots": 2, "args": ["--temp", "0"], "env": [{"name": "A", "value": "b"}]},
    "image": "localhost/other:1",
    "replicas": 3,
    "rollout": {"surge": "Never"},
    "resources": {"limits": {"memory": "8Gi", "cpu": 2}},
    "service": {"type": "NodePort", "port": 80, "annotations": {"a": "b"}},
    "ingress": {"host": "a.b", "className": "c", "path": "/x", "tls": {"secretName": "s"}, "annotations": {"a": "b"}},
    "auth": {"apiKeySecretRef": {"name": "keys", "key": "k"}},
    "networkPolicy": {"enabled": False, "from": [{"podSelector": {}}]},
    "pod": {"labels": {"a": "b"}, "tolerations": [{"key": "gpu", "tolerationSeconds": 5}], "nodeSelector": {"a": "b"}},
}
"""Each member of the spec, and none as it is by default."""


def template(of: LlamaModel) -> Any:
    return deployment.deployment(of, CONFIG)["spec"]["template"]


def told(of: LlamaModel) -> Spec:
    text = served.written(served.of(of, CONFIG))
    assert text is not None
    found = served.read(text)
    assert found is not None
    return found


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
@pytest.mark.parametrize("now", [model(), model(**ALL)], ids=["smallest", "all"])
def test_the_template_is_made_again_whatever_the_spec_says_by_now(path: Path, now: LlamaModel) -> None:
    before = parse(example(path))
    of_the_other = msgspec.structs.replace(now, name=before.name)
    held = served.put(of_the_other, told(before))
    assert template(held) == template(before)
    assert served.written(served.of(held, CONFIG)) == served.written(served.of(before, CONFIG)), (
        "it still says what it serves"
    )


@pytest.mark.parametrize("name", Spec.__struct_fields__)
def test_each_member_is_held_or_changes_no_pod(name: str) -> None:
    """Fails for a new member of the spec that shapes the template and is not in the list."""
    written = dict(zip(Spec.__struct_fields__, Spec.__struct_encode_fields__, strict=True))[name]
    before, after = model(), model(**{written: ALL[written]})
    assert template(served.put(after, told(before))) == template(before)
    assert (template(after) != template(before)) == (name in {*served.SHAPING, "ingress"})


def test_what_shapes_no_pod_is_the_specs() -> None:
    """The claim's new size, too, is not asked of the Deployment."""
    after = model(**ALL).spec
    held = served.put(model(**ALL), told(model())).spec
    assert (held.replicas, held.service) == (after.replicas, after.service)
    assert held.ingress is not None
    assert after.ingress is not None
    assert held.ingress == msgspec.structs.replace(after.ingress, path="/")


def test_the_prefix_outlives_its_ingress() -> None:
    before = model(ingress={"host": "a.b", "path": "/x"})
    assert template(served.put(model(), told(before))) == template(before)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{}",
        "[]",
        "null",
        "{",
        '{"source":1}',
        '{"source":{}}',
        '{"source":{"url":{"url":"http://a"}},"storage":{}}',
        '{"source":{"url":{"url":"http://a"}},"engine":{"slots":"many"}}',
        '{"engine":{"slot":2},"source":{"url":{"url":"http://a"}}}',
    ],
)
def test_what_somebody_else_wrote_is_nothing(text: str) -> None:
    assert served.read(text) is None


@pytest.mark.parametrize("more", [0, 1])
def test_what_is_too_large_is_not_told(more: int) -> None:
    def sized(length: int) -> Spec:
        return served.of(model(engine={"args": ["x" * length]}), CONFIG)

    around = len(served.written(sized(0)) or "")
    text = served.written(sized(served.LIMIT_BYTES - around + more))
    assert (text is None) == bool(more)
