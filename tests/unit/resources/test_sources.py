"""Which files there are to stage, and on which volume."""

from __future__ import annotations

from typing import Any

import pytest

from llama_operator.resources import sources
from tests.unit.resources.models import model

FILES: dict[str, Any] = {
    "source": {"huggingFace": {"repo": "a/b", "file": "m.gguf", "tokenSecretRef": {"name": "s", "key": "k"}}},
    "projector": {"source": {"s3": {"uri": "s3://abc/p", "credentialsSecretRef": {"name": "c"}}}},
    "adapters": [
        {"name": "a", "source": {"oci": {"image": "a:1", "path": "a"}}, "scale": "0.5"},
        {"name": "b", "source": {"oci": {"image": "a:1", "path": "b"}}},
    ],
    "draft": {"source": {"volume": {"claimName": "c", "path": "d"}}},
    "storage": {"cache": {"claimName": "cache", "quota": "1Gi"}},
}


def of(**spec: Any) -> sources.Sources:
    return sources.of(model(**spec).spec)


def test_it_can_be_read_again() -> None:
    assert sources.read(sources.written(of(**FILES))) == of(**FILES)


def test_the_same_is_written_the_same() -> None:
    """The order of adapters says nothing about files."""
    turned = FILES | {"adapters": FILES["adapters"][::-1], "replicas": 3}
    assert sources.written(of(**FILES)) == sources.written(of(**turned))


def test_what_another_version_wrote_is_nothing() -> None:
    """A member that is called otherwise would be left out, and the rest be taken for all."""
    text = sources.written(of(**FILES))
    assert sources.read(text.replace('"tokenSecretRef":', '"token":', 1)) is None
    assert sources.read(text.replace("{", '{"also":1,', 1)) is None


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"source":1}', "{", '{"files":{"model":1},"volume":["pod",""]}'])
def test_what_somebody_else_wrote_is_nothing(text: str) -> None:
    assert sources.read(text) is None


SAME: list[Any] = [
    {"adapters": [{**FILES["adapters"][0], "scale": "1"}, FILES["adapters"][1]]},
    {"storage": {"cache": {"claimName": "cache", "quota": "2Gi", "whenUnused": "Delete"}}},
    {"replicas": 0, "engine": {"slots": 2}},
]
OTHER: list[Any] = [
    {"source": {"huggingFace": {"repo": "a/b", "file": "n.gguf"}}},
    {"projector": {"source": {"url": {"url": "http://a/p"}}}},
    {"draft": {"source": {"url": {"url": "http://a/d"}}}},
    {"adapters": []},
    {"storage": {"cache": {"claimName": "other"}}},
    {"storage": {"cache": {"nodePath": "/cache"}}},
    {"storage": {"claim": {"size": "1Gi"}}},
]


@pytest.mark.parametrize("change", SAME, ids=str)
def test_what_needs_no_staging(change: Any) -> None:
    assert of(**FILES | change) == of(**FILES)


@pytest.mark.parametrize("change", OTHER, ids=str)
def test_what_needs_staging(change: Any) -> None:
    assert of(**FILES | change) != of(**FILES)
